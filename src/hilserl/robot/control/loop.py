"""Process that drives an arm, or all arms of one scene.

In a separate process no request and no image delays a tick.
"""

import contextlib
import gc
import json
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load
from hilserl.robot.control.driver import ArmSettings, BaseArm, measured_sizes
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
    measured = measured_sizes(len(settings.reset_joints_rad), senses_wrench=settings.senses_wrench)
    return dict.fromkeys(of_loop, 1) | {"missing": 2} | measured | dict(settings.extra_measurements)


class ArmLink(NamedTuple):
    """The loop's end of the ways between an arm and its backend."""

    layout: Mapping[str, int]
    """Layout of the arm's state, from `state_layout`."""
    memory: Any
    """Shared memory for the state, from `SharedState.allocate`."""
    stop: Any
    """Shared memory for a wish to stop, from `StopLine.allocate`."""
    pipe: Connection
    """Commands in, replies out."""


def run_loop(settings: ArmSettings, links: Sequence[ArmLink], rings: Any) -> None:
    """Tick the arms until the other end of a pipe is closed.

    Args:
        settings: makes the first arm, and those that tick with it.
        links: ways to each arm's backend.
        rings: shared memory for the lateness and the load of the last ticks, `2 * WINDOW` numbers.
    """
    ending = _ending()
    try:
        arm = settings.make()
    except HilserlError as error:
        links[0].pipe.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    with contextlib.closing(arm):
        lateness_s, busy_s = np.frombuffer(rings).reshape(2, WINDOW)
        served = [_ServedArm(each, link) for each, link in zip(arm.together, links, strict=True)]
        # A collection may take longer than a tick, and the loop makes no cycles.
        gc.freeze()
        gc.disable()
        real_time = float(request_real_time())
        arm.tick()
        links[0].pipe.send_bytes(b"{}")
        timer = LoopTimer(settings.tick_s, lateness_s, busy_s)
        while not ending.is_set():
            if not all(each.obey() for each in served):
                break
            arm.tick()
            of_loop = {"ticks": float(timer.ticks), "skipped": float(timer.skipped), "real_time": real_time}
            for each in served:
                each.show(of_loop)
            if arm.waited_s is None:
                timer.wait()
            else:
                timer.record_paced_tick(arm.waited_s)


class _ServedArm:
    """An arm with the ways to its backend."""

    def __init__(self, arm: BaseArm, link: ArmLink) -> None:
        self._arm, self._pipe = arm, link.pipe
        self._stop_line, self._state = StopLine(link.stop), SharedState(link.memory, link.layout)

    def obey(self) -> bool:
        """Carry out a wish to stop and all waiting commands.

        Returns:
            False once the pipe is closed.
        """
        if (reason := self._stop_line.taken()) is not None:
            self._arm.halt(reason)
        return _answer_commands(self._pipe, self._arm)

    def show(self, of_loop: Mapping[str, float]) -> None:
        """Write the arm's state, with numbers of the loop."""
        arm = self._arm
        self._state.write(
            {
                **arm.measurements(),
                "time_s": arm.now_s,
                "mode": float(arm.mode),
                "watchdog_holds": float(arm.limiter.watchdog_holds),
                "ways_cut": float(arm.limiter.ways_cut),
                "missing": np.array(arm.limiter.missing),
                **of_loop,
            }
        )


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
