"""The Franka hand, in a process of its own.

Its calls last as long as the fingers move, and pylibfranka (0.21.3) holds Python's lock all the while: in a thread
beside the arm's loop they would stop the loop.
"""

import json
import multiprocessing
import signal
import sys
from multiprocessing.connection import Connection
from typing import Any

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import FRANKA_M_PER_UNIT, ArmStateError, GripperVerb
from hilserl.robot.drivers.franka.library import load

_OPEN_M, _CLOSED_M, _GRASP_N = 0.09, 0.01, 130.0
_NORMAL_M_PER_S, _SLOW_M_PER_S = 0.3, 0.1
_ANY_WIDTH_M = 1.0
"""What HIL-SERL's `franka_gripper_server.py` asks of the hand: whatever it closes on counts as grasped."""

_WIDTH_M, _MOST_M, _REFUSALS = range(3)
"""What is where in the memory that the hand shares."""
_START_S, _END_S = 30.0, 2.0

_CLOSE = {"close": _NORMAL_M_PER_S, "close_slow": _SLOW_M_PER_S}


class HandLine:
    """The hand as the arm's loop has it. Nothing here waits for the fingers; of orders that wait the newest is done."""

    def __init__(self, line: Connection, memory: Any) -> None:
        self._line, self._memory = line, memory

    @property
    def position(self) -> float:
        """1 open, 0 closed, as last measured: not while the fingers move."""
        most_m = self._memory[_MOST_M]
        return min(max(self._memory[_WIDTH_M] / most_m, 0.0), 1.0) if most_m > 0 else 0.0

    @property
    def refusals(self) -> int:
        """How many orders the hand has not carried out; its process has said why."""
        return int(self._memory[_REFUSALS])

    def do(self, verb: GripperVerb) -> None:
        """Nothing for `activate`; `reset` is the hand's homing, which it needs once after it was switched on."""
        if verb == "open":
            self._move(_OPEN_M)
        elif verb in _CLOSE:
            self._order("grasp", _CLOSED_M, _CLOSE[verb], _GRASP_N, _ANY_WIDTH_M, _ANY_WIDTH_M)
        elif verb == "reset":
            self._order("homing")

    def move(self, position: float) -> None:
        """To 0 ... 255, of which 255 is 0.1 m."""
        self._move(position * FRANKA_M_PER_UNIT)

    def _move(self, width_m: float) -> None:
        self._order("move", min(width_m, self._memory[_MOST_M]), _NORMAL_M_PER_S)

    def _order(self, method: str, *given: float) -> None:
        try:
            self._line.send_bytes(json.dumps([method, *given]).encode())
        except OSError as error:
            raise ArmStateError("The hand's process has ended; restart the server.") from error

    def close(self) -> None:
        self._line.close()


class Hand:
    """The hand's process. Raises HilserlError where there is no hand."""

    def __init__(self, robot_ip: str) -> None:
        context = multiprocessing.get_context("spawn")
        memory = context.RawArray("d", 3)
        ours, theirs = context.Pipe()
        self.line = HandLine(ours, memory)
        self._process = context.Process(target=run, args=(robot_ip, memory, theirs), daemon=True)
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
        """Ends the process, which does so by itself once nobody has its line any more, unless the fingers move."""
        self.line.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def run(robot_ip: str, memory: Any, line: Connection) -> None:
    """Carries out orders and measures, until the other end of the line is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        library = load()
        gripper = _connect(library, robot_ip)
    except HilserlError as error:
        line.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    _measure(gripper, memory)
    line.send_bytes(b"{}")
    while True:
        try:
            order = _newest(line)
        except (EOFError, OSError):
            return
        if order is not None:
            try:
                getattr(gripper, order[0])(*order[1:])
            except library.CommandException as error:
                memory[_REFUSALS] += 1
                print(f"The hand refused {order}: {error}", file=sys.stderr, flush=True)
        _measure(gripper, memory)


def _connect(library: Any, robot_ip: str) -> Any:
    try:
        return library.Gripper(robot_ip)
    except (library.NetworkException, library.FrankaException) as error:
        raise HilserlError(
            f"There is no Franka hand at {robot_ip}: {error} (--gripper none is for an arm without one.)"
        ) from error


def _measure(gripper: Any, memory: Any) -> None:
    """Waits for the hand's next state, which paces this process."""
    state = gripper.read_once()
    memory[_WIDTH_M], memory[_MOST_M] = state.width, state.max_width


def _newest(line: Connection) -> list[Any] | None:
    order = None
    while line.poll():
        order = json.loads(line.recv_bytes())
    return order
