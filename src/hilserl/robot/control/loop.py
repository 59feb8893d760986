"""The process that drives an arm, so that no request and no picture ever delays a tick."""

import contextlib
import gc
import json
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load
from hilserl.robot.control.driver import MEASURED, ArmSettings, BaseArm
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.shared_state import SharedState
from hilserl.robot.control.timing import WINDOW, LoopTimer

_PRIORITY = 10
_DECODE: dict[str, Callable[[Any], Any]] = {
    "pose": np.array,
    "compliance": lambda given: Compliance(**given),
    "load": lambda given: Load(**given),
}


def layout(settings: ArmSettings) -> dict[str, int]:
    """What the loop writes on its board, and how many numbers each is."""
    own = ("time_s", "mode", "watchdog_holds", "ticks", "skipped", "real_time")
    return dict.fromkeys(own, 1) | MEASURED | dict(settings.more)


def run(settings: ArmSettings, memory: Any, rings: Any, line: Connection) -> None:
    """Ticks until the other end of the line is closed."""
    # Ctrl-C is the server's to handle; it closes the line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        arm = settings.make()
    except HilserlError as error:
        line.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    with contextlib.closing(arm):
        lateness_s, busy_s = np.frombuffer(rings).reshape(2, WINDOW)
        board = SharedState(memory, layout(settings))
        # A collection may take longer than a tick, and the loop makes no cycles.
        gc.freeze()
        gc.disable()
        real_time = float(ask_for_real_time())
        arm.tick()
        line.send_bytes(b"{}")
        timer = LoopTimer(settings.tick_s, lateness_s, busy_s)
        while _answer(line, arm):
            arm.tick()
            board.write(
                {
                    **arm.measurements(),
                    "time_s": arm.now_s,
                    "mode": float(arm.mode),
                    "watchdog_holds": float(arm.governor.watchdog_holds),
                    "ticks": float(timer.ticks),
                    "skipped": float(timer.skipped),
                    "real_time": real_time,
                }
            )
            if arm.waited_s is None:
                timer.wait()
            else:
                timer.record_paced_tick(arm.waited_s)


def ask_for_real_time() -> bool:
    """Whether this thread, and those it makes, now go before all ordinary ones; it takes root or CAP_SYS_NICE."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except (AttributeError, PermissionError):  # AttributeError: not Linux
        return False
    return True


def be_ordinary() -> None:
    """Takes this thread's priority back, as for one that starts programs."""
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _answer(line: Connection, arm: BaseArm) -> bool:
    """Does what has been asked since the last tick; returns whether anybody is still there to ask."""
    try:
        while line.poll():
            reply = _reply(arm, json.loads(line.recv_bytes()))
            line.send_bytes(json.dumps({**reply, "time_s": arm.now_s}).encode())
    except (EOFError, OSError):
        return False
    return True


def _reply(arm: BaseArm, message: dict[str, Any]) -> dict[str, Any]:
    """The message names a method of the arm, beside what it is given."""
    method = getattr(arm, message.pop("do"))
    given = {name: _DECODE[name](value) if name in _DECODE else value for name, value in message.items()}
    try:
        return {"value": method(**given)}
    except ArmStateError as error:
        return {"refused": str(error)}
