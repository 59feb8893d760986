"""Thread for commands that take longer than a tick."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError
from hilserl.robot.control.loop import drop_real_time


class CommandWorker:
    """One thread that runs one slow command at a time.

    The loop starts a command with `begin` and asks `finish` in every tick; all methods return at once, except `run`
    and `close`.
    """

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, "ros", drop_real_time)
        self._work: Future[None] | None = None
        self._name = ""
        self._then: Callable[[], None] = _do_nothing
        self._outcome = ""
        self.given_up = threading.Event()
        """Set while the running command has to end early."""

    @property
    def is_busy(self) -> bool:
        """True until the end of the running command is handled."""
        return self._work is not None

    def run(self, work: Callable[[], None]) -> None:
        """Run a command in the thread and wait for it."""
        self._executor.submit(work).result()

    def require_idle(self) -> None:
        """Raise `ArmStateError` while a command is running."""
        if self._work is not None:
            raise ArmStateError(f"The arm is busy {self._name}.")

    def begin(self, name: str, work: Callable[[], None], then: Callable[[], None] | None = None) -> None:
        """Start a command. Raises `ArmStateError` while another one is running.

        Args:
            name: the command for messages, as "setting the load".
            work: runs in the thread.
            then: runs in the loop after a success, except after `give_up`.
        """
        self.require_idle()
        self.given_up.clear()
        self._name, self._then = name, then or _do_nothing
        self._work = self._executor.submit(work)

    def give_up(self) -> None:
        """Ask the running command to end early; nothing follows it."""
        self._then = _do_nothing
        self.given_up.set()

    def finish(self) -> HilserlError | None:
        """Handle the end of a command; call it in every tick.

        Returns:
            The error of a command that failed; None after a success and while nothing has ended.
        """
        work, then = self._work, self._then
        if work is None or not work.done():
            return None
        self._work = None
        error = work.exception()
        if error is None:
            self._outcome = ""
            then()
            return None
        if not isinstance(error, HilserlError):
            raise error
        self._outcome = str(error)
        return error

    def outcome(self) -> str | None:
        """Return the last command's error message.

        Returns:
            An empty string after a success, None while the command is running.
        """
        return self._outcome if self._work is None else None

    def clear_outcome(self) -> None:
        """Forget the last command's error."""
        self._outcome = ""

    def close(self) -> None:
        """Wait for the running command and end the thread."""
        self._executor.shutdown()


def _do_nothing() -> None:
    """Follow a command that needs no follow-up."""
