"""The simulated arm in real time, in a process of its own, so that no request and no picture ever delays a tick."""

import gc
import json
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.backend import GripperKind, Load, RefusedError
from hilserl.robot.board import Board
from hilserl.robot.compliance import Compliance
from hilserl.robot.limits import Box, Limits
from hilserl.robot.sim_arm import TICK_S, SimArm
from hilserl.robot.timekeeping import WINDOW, Beat
from hilserl.sim.task import Task

_PRIORITY = 10


@dataclass(frozen=True)
class SimSettings:
    """A simulated arm. Its task's class is imported again in the loop's process."""

    task: Task
    box: Box
    limits: Limits
    gripper: GripperKind
    reset_joints_rad: tuple[float, ...]


def layout(qpos: int) -> dict[str, int]:
    """What the loop writes on its board, and how many numbers each is; `qpos` is the length of the scene's."""
    sizes = {"time_s": 1, "mode": 1, "pose": 7, "velocity": 6, "force": 3, "torque": 3, "q": 7, "dq": 7, "jacobian": 42}
    sizes |= {"gripper": 1, "set_point": 7, "watchdog_holds": 1, "ticks": 1, "skipped": 1, "real_time": 1, "qpos": qpos}
    return sizes


def run(settings: SimSettings, memory: Any, rings: Any, line: Connection) -> None:
    """Ticks until the other end of the line is closed."""
    # Ctrl-C is the server's to handle; it closes the line.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        arm = SimArm(settings.task, settings.box, settings.limits, settings.gripper, settings.reset_joints_rad)
    except HilserlError as error:
        line.send_bytes(json.dumps({"error": str(error)}).encode())
        return
    lateness_s, busy_s = np.frombuffer(rings).reshape(2, WINDOW)
    board = Board(memory, layout(len(arm.sim.data.qpos)))
    # A collection may take longer than a tick, and the loop makes no cycles.
    gc.freeze()
    gc.disable()
    real_time = float(_ask_for_real_time())
    arm.tick()
    line.send_bytes(b"{}")
    beat = Beat(TICK_S, lateness_s, busy_s)
    while _answer(line, arm):
        arm.tick()
        board.write(
            {
                **arm.measurements(),
                "time_s": arm.now_s,
                "mode": float(arm.mode),
                "watchdog_holds": float(arm.governor.watchdog_holds),
                "ticks": float(beat.ticks),
                "skipped": float(beat.skipped),
                "real_time": real_time,
            }
        )
        beat.wait()


def _ask_for_real_time() -> bool:
    """Whether this process now goes before all ordinary ones, which takes root or CAP_SYS_NICE."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(_PRIORITY))
    except (AttributeError, PermissionError):  # AttributeError: not Linux
        return False
    return True


def _answer(line: Connection, arm: SimArm) -> bool:
    """Does what has been asked since the last tick; returns whether anybody is still there to ask."""
    try:
        while line.poll():
            reply = _reply(arm, json.loads(line.recv_bytes()))
            line.send_bytes(json.dumps({**reply, "time_s": arm.now_s}).encode())
    except (EOFError, OSError):
        return False
    return True


def _reply(arm: SimArm, message: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"value": _do(arm, message.pop("do"), message)}
    except RefusedError as error:
        return {"refused": str(error)}


def _do(arm: SimArm, what: str, given: dict[str, Any]) -> Any:
    match what:
        case "move":
            arm.command(np.array(given["pose"]))
        case "gripper":
            arm.command_gripper(given["verb"])
        case "move_gripper":
            arm.move_gripper(given["position"])
        case "set_compliance":
            arm.set_compliance(Compliance(**given))
        case "set_load":
            arm.set_load(Load(**given))
        case "reset_scene":
            arm.reset_scene(given["seed"], home=given["home"])
        case "truth":
            return arm.truth()
        case "start_impedance" | "stop_impedance" | "joint_reset" | "halt" | "recover":
            getattr(arm, what)()
        case _:
            raise HilserlError(f"The loop cannot do {what!r}.")
    return None
