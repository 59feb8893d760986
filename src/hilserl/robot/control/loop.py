"""Process that drives an arm.

In a separate process no request and no image delays a tick.
"""

import contextlib
import gc
import json
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load
from hilserl.robot.control.driver import MEASURED, ArmSettings, BaseArm
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.shared_state import SharedState
from hilserl.robot.control.stop_line import StopLine
from hilserl.robot.control.timing import WINDOW, LoopTimer

_PRIORITY = 10
_DECODE: dict[str, Callable[[Any], Any]] = {
    "pose": np.array,
    "compliance": lambda given: Compliance(**given),
    "load": lambda given: Load(**given),
}


def state_layout(settings: ArmSettings) -> dict[str, int]:
    """Return the names and sizes of the vectors that the loop shares."""
    of_loop = ("time_s", "mode", "watchdog_holds", "ways_cut", "ticks", "skipped", "real_time")
    return dict.fromkeys(of_loop, 1) | {"missing": 2} | MEASURED | dict(settings.extra_measurements)


def run_loop(settings: ArmSettings, memory: Any, rings: Any, stop_memory: Any, pipe: Connection) -> None:
    """Tick the arm until the other end of the pipe is closed.

    Args:
        settings: makes the arm.
        memory: shared memory for the arm's state, in the layout of `state_layout`.
        rings: shared memory for the lateness and the load of the last ticks, `2 * WINDOW` numbers.
        stop_memory: shared memory for a wish to stop, from `StopLine.allocate`.
        pipe: commands in, replies out.
    """
    ending = _ending()
    stop_line = StopLine(stop_memory)
    try:
        arm = settings.make()
    except HilserlError as error:
        pipe.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    with contextlib.closing(arm):
        lateness_s, busy_s = np.frombuffer(rings).reshape(2, WINDOW)
        state = SharedState(memory, state_layout(settings))
        # A collection may take longer than a tick, and the loop makes no cycles.
        gc.freeze()
        gc.disable()
        real_time = float(request_real_time())
        arm.tick()
        pipe.send_bytes(b"{}")
        timer = LoopTimer(settings.tick_s, lateness_s, busy_s)
        while not ending.is_set():
            if (reason := stop_line.taken()) is not None:
                arm.halt(reason)
            if not _answer_commands(pipe, arm):
                break
            arm.tick()
            state.write(
                {
                    **arm.measurements(),
                    "time_s": arm.now_s,
                    "mode": float(arm.mode),
                    "watchdog_holds": float(arm.limiter.watchdog_holds),
                    "ways_cut": float(arm.limiter.ways_cut),
                    "missing": np.array(arm.limiter.missing),
                    "ticks": float(timer.ticks),
                    "skipped": float(timer.skipped),
                    "real_time": real_time,
                }
            )
            if arm.waited_s is None:
                timer.wait()
            else:
                timer.record_paced_tick(arm.waited_s)


def _ending() -> threading.Event:
    """Let SIGTERM set an event, so that the arm ends in order.

    The server handles Ctrl-C and a hang-up; it closes the pipe.
    """
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    return ending


def request_real_time(priority: int = _PRIORITY) -> bool:
    """Ask for real-time priority for this thread and those that it starts.

    Args:
        priority: priority among real-time threads; the loop has the highest one.

    Returns:
        True if the system grants it; it takes root or CAP_SYS_NICE.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(priority))
    except (AttributeError, PermissionError):  # AttributeError: not Linux
        return False
    return True


def drop_real_time() -> None:
    """Return this thread to ordinary priority, as for one that starts programs."""
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _answer_commands(pipe: Connection, arm: BaseArm) -> bool:
    """Carry out all waiting commands; return False once the pipe is closed."""
    try:
        while pipe.poll():
            reply = _reply(arm, json.loads(pipe.recv_bytes()))
            pipe.send_bytes(json.dumps({**reply, "time_s": arm.now_s}).encode())
    except (EOFError, OSError):
        return False
    return True


def _reply(arm: BaseArm, message: dict[str, Any]) -> dict[str, Any]:
    """Call the arm's method that the message names, with the message's arguments."""
    method = getattr(arm, message.pop("method"))
    given = {name: _DECODE[name](value) if name in _DECODE else value for name, value in message.items()}
    try:
        return {"value": method(**given)}
    except ArmStateError as error:
        return {"state_error": str(error)}
