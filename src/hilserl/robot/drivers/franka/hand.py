"""Franka hand in a separate process.

A call of the hand lasts as long as the fingers move, and pylibfranka (0.21.3) holds Python's global lock meanwhile. In
a thread beside the arm's loop it would stop the loop.
"""

import json
import logging
import multiprocessing
import signal
from multiprocessing.connection import Connection
from typing import Any

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import FRANKA_M_PER_UNIT, ArmStateError, GripperVerb
from hilserl.robot.drivers.franka.library import load_library

_LOG = logging.getLogger("hilserl.robot.hand")
_OPEN_M, _CLOSED_M, _GRASP_N = 0.09, 0.01, 130.0
_NORMAL_M_PER_S, _SLOW_M_PER_S = 0.3, 0.1
_ANY_WIDTH_M = 1.0
"""Tolerance of a grasp: an object of any width counts as grasped.

It is that of HIL-SERL's `franka_gripper_server.py`.
"""

_WIDTH_M, _MAX_WIDTH_M, _REFUSALS = range(3)
"""Indices of the numbers in the hand's shared memory."""
_START_S, _END_S = 30.0, 2.0

_CLOSE = {"close": _NORMAL_M_PER_S, "close_slow": _SLOW_M_PER_S}


class HandClient:
    """Commands to the hand's process, for the arm's loop.

    No method waits for the fingers. If several commands wait, the hand carries out only the newest.
    """

    def __init__(self, pipe: Connection, memory: Any) -> None:
        self._pipe, self._memory = pipe, memory

    @property
    def position(self) -> float:
        """Opening from 0 (closed) to 1 (open).

        It is not measured while the fingers move.
        """
        max_width_m = self._memory[_MAX_WIDTH_M]
        return min(max(self._memory[_WIDTH_M] / max_width_m, 0.0), 1.0) if max_width_m > 0 else 0.0

    @property
    def refusals(self) -> int:
        """Number of refused commands; the hand's process logs the reasons."""
        return int(self._memory[_REFUSALS])

    def do(self, verb: GripperVerb) -> None:
        """Start a gripper command.

        `activate` has no effect. `reset` is the hand's homing, which it needs once after it is switched on.
        """
        if verb == "open":
            self._move(_OPEN_M)
        elif verb in _CLOSE:
            self._send("grasp", _CLOSED_M, _CLOSE[verb], _GRASP_N, _ANY_WIDTH_M, _ANY_WIDTH_M)
        elif verb == "reset":
            self._send("homing")

    def move(self, position: float) -> None:
        """Move to a position from 0 to 255; 255 is 0.1 m."""
        self._move(position * FRANKA_M_PER_UNIT)

    def _move(self, width_m: float) -> None:
        self._send("move", min(width_m, self._memory[_MAX_WIDTH_M]), _NORMAL_M_PER_S)

    def _send(self, method: str, *given: float) -> None:
        try:
            self._pipe.send_bytes(json.dumps([method, *given]).encode())
        except OSError as error:
            raise ArmStateError("The hand's process has ended; restart the server.") from error

    def close(self) -> None:
        """Close this end of the pipe."""
        self._pipe.close()


class HandProcess:
    """Process of the hand. Raises HilserlError if no hand answers."""

    def __init__(self, robot_ip: str) -> None:
        context = multiprocessing.get_context("spawn")
        memory = context.RawArray("d", 3)
        ours, theirs = context.Pipe()
        self.client = HandClient(ours, memory)
        """Commands for the arm's loop."""
        self._process = context.Process(target=run_hand, args=(robot_ip, memory, theirs), daemon=True)
        self._process.start()
        theirs.close()
        try:
            if not ours.poll(_START_S):
                raise HilserlError(f"The hand at {robot_ip} did not answer within {_START_S:.0f} s.")
            reply = json.loads(ours.recv_bytes())
        except (EOFError, HilserlError) as error:
            self.close()
            raise HilserlError(str(error) or "The hand's process ended while it was starting.") from error
        if "error" in reply:
            self.close()
            raise HilserlError(reply["error"])

    def close(self) -> None:
        """End the process.

        It also ends by itself once all clients are closed and the fingers stand.
        """
        self.client.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def run_hand(robot_ip: str, memory: Any, pipe: Connection) -> None:
    """Carry out commands and measure until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        library = load_library()
        gripper = _connect(library, robot_ip)
    except HilserlError as error:
        pipe.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    _measure(gripper, memory)
    pipe.send_bytes(b"{}")
    while True:
        try:
            command = _newest(pipe)
        except (EOFError, OSError):
            return
        if command is not None:
            try:
                getattr(gripper, command[0])(*command[1:])
            except library.CommandException as error:
                memory[_REFUSALS] += 1
                _LOG.warning("The hand refused %s: %s", command, error)
        _measure(gripper, memory)


def _connect(library: Any, robot_ip: str) -> Any:
    try:
        return library.Gripper(robot_ip)
    except (library.NetworkException, library.FrankaException) as error:
        raise HilserlError(
            f"No Franka hand answers at {robot_ip}: {error} For an arm without a hand use --gripper none."
        ) from error


def _measure(gripper: Any, memory: Any) -> None:
    """Wait for the hand's next state, which paces this process."""
    state = gripper.read_once()
    memory[_WIDTH_M], memory[_MAX_WIDTH_M] = state.width, state.max_width


def _newest(pipe: Connection) -> list[Any] | None:
    """Return the newest command that waits; None without one."""
    command = None
    while pipe.poll():
        command = json.loads(pipe.recv_bytes())
    return command
