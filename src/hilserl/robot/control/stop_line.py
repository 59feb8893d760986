"""Path of a stop to an arm's loop, apart from all commands.

Any process may pull it; the loop looks at it at every tick, before everything else.
"""

import time
from multiprocessing.context import BaseContext
from typing import Any

from hilserl.robot.control.backend import LostError, Mode
from hilserl.robot.control.shared_state import SharedState

_REASON_BYTES = 400
_POLL_S = 0.001


class StopLine:
    """Wish to stop in shared memory, with its reason.

    Args:
        memory: shared memory, from `allocate`.
    """

    def __init__(self, memory: Any) -> None:
        self._memory = memory

    @staticmethod
    def allocate(context: BaseContext) -> Any:
        """Allocate shared memory, for the loop's process as well."""
        return context.RawArray("c", 1 + _REASON_BYTES)

    def pull(self, reason: str) -> None:
        """Wish that the arm stops."""
        self._memory[1:] = reason.encode(errors="replace")[:_REASON_BYTES].ljust(_REASON_BYTES, b"\0")
        self._memory[0] = b"\1"

    def taken(self) -> str | None:
        """Take the wish, if there is one, and return its reason. For the loop."""
        if self._memory[0] == b"\0":
            return None
        reason = bytes(self._memory[1:]).rstrip(b"\0").decode(errors="replace")
        self._memory[0] = b"\0"
        return reason

    def halt(self, state: SharedState, reason: str, within_s: float) -> None:
        """Stop the arm and wait until it is halted.

        Raises:
            LostError: the loop is gone, or does not take the wish in time.
        """
        self.pull(reason)
        until = time.monotonic() + within_s
        while self._memory[0] != b"\0" or int(state.read()["mode"][0]) != Mode.HALTED:
            if time.monotonic() > until:
                raise LostError(f"The arm's loop did not take the stop within {within_s:.1f} s; cut its power.")
            time.sleep(_POLL_S)
