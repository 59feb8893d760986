"""Start and end of the process that drives arms."""

import contextlib
import json
import multiprocessing
import threading
import time
from multiprocessing.connection import Connection

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import LostError, StopMemory
from hilserl.robot.control.driver import ArmSettings
from hilserl.robot.control.loop import ArmLink, run_loop, state_layout
from hilserl.robot.control.shared_state import SharedState
from hilserl.robot.control.stop_line import StopLine
from hilserl.robot.control.timing import WINDOW

_START_S, _SHOWN_S, _END_S = 60.0, 5.0, 5.0
_POLL_S = 0.01


class BackendLink:
    """A backend's end of the ways to its arm."""

    def __init__(self, settings: ArmSettings, memory: StopMemory, pipe: Connection) -> None:
        self.settings, self.stop_memory, self.pipe = settings, memory, pipe
        self.state = SharedState(memory.state, memory.layout, memory.stale_s)
        """Newest state of the arm."""
        self.stop_line = StopLine(memory.line)
        """Way of a stop, apart from the pipe."""
        self.lock = threading.Lock()
        """Held while a command and its reply are in the pipe."""


class LoopProcess:
    """Process of an arm's loop, started at once.

    It drives those arms as well that tick with the first.

    Args:
        settings: makes the first arm.

    Raises:
        HilserlError: the settings are invalid, or the loop does not start.
    """

    def __init__(self, settings: ArmSettings) -> None:
        # A forked child would inherit the server's threads and locks in an undefined state.
        context = multiprocessing.get_context("spawn")
        rings = context.RawArray("d", 2 * WINDOW)
        self.lateness_s, self.busy_s = np.frombuffer(rings).reshape(2, WINDOW)
        self.links: list[BackendLink] = []
        """Ways to the arms, in order."""
        theirs = []
        for each in settings.together:
            layout = state_layout(each)
            memory = StopMemory(
                StopLine.allocate(context), SharedState.allocate(context, layout), layout, each.stale_after_s
            )
            ours, their_pipe = context.Pipe()
            self.links.append(BackendLink(each, memory, ours))
            theirs.append(ArmLink(layout, memory.state, memory.line, their_pipe))
        self._process = context.Process(target=run_loop, args=(settings, theirs, rings), daemon=True)
        self._process.start()
        for link in theirs:
            link.pipe.close()
        self._await_start()

    def _await_start(self) -> None:
        try:
            _check_started(self.links[0].pipe)
        except HilserlError:
            self.close()
            raise
        until = time.monotonic() + _SHOWN_S
        while not all(_shows(link.state) for link in self.links) and time.monotonic() < until:
            time.sleep(_POLL_S)

    @property
    def is_alive(self) -> bool:
        """True while the process lives."""
        return self._process.is_alive()

    def kill(self) -> None:
        """End the process without its consent."""
        self._process.kill()

    def close(self) -> None:
        """End the loop, and with it all its arms."""
        for link in self.links:
            with link.lock:
                link.pipe.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _check_started(pipe: Connection) -> None:
    """Wait for the loop's first reply. Raises HilserlError if the arm did not start."""
    try:
        if not pipe.poll(_START_S):
            raise HilserlError(f"The arm did not start within {_START_S:.0f} s.")
        reply = json.loads(pipe.recv_bytes())
    except EOFError as error:
        raise HilserlError("The arm's process ended while it was starting.") from error
    if "error" in reply:
        raise HilserlError(reply["error"])


def _shows(state: SharedState) -> bool:
    """Return True if the loop has written its state."""
    with contextlib.suppress(LostError):
        return bool(state.read()["time_s"])
    return False
