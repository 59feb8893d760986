"""Backend of an arm whose loop runs in another process."""

import dataclasses
import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from typing_extensions import override

from hilserl.errors import unknown
from hilserl.robot.control.backend import (
    ArmStateError,
    Backend,
    CutWay,
    GripperKind,
    GripperVerb,
    Load,
    LostError,
    Mode,
    Snapshot,
    StopMemory,
)
from hilserl.robot.control.driver import ArmSettings
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.loop_process import LoopProcess
from hilserl.robot.control.poses import Pose, with_scipy_sign
from hilserl.robot.control.timing import WINDOW, percentiles_ms

_ANSWER_S, _RESET_S = 5.0, 40.0
_POLL_S = 0.01


class LoopBackend(Backend):
    """Backend with its loop in a process, started at once.

    Shared memory shows the loop's state; a pipe carries commands.

    Args:
        settings: makes the arm in the loop's process.
        process: process that runs already; None to start one.
        number: which arm of the process it is.

    Raises:
        HilserlError: the settings are invalid, or the loop does not start.
    """

    def __init__(self, settings: ArmSettings, process: LoopProcess | None = None, number: int = 0) -> None:
        self._process = process or LoopProcess(settings)
        link = self._process.links[number]
        self._settings, self._state, self._stop_line = settings, link.state, link.stop_line
        self._stop_memory, self._pipe, self._lock = link.stop_memory, link.pipe, link.lock
        self._answer_s = max(_ANSWER_S, settings.stale_after_s)
        self._compliance = Compliance()
        self._answered_s = 0.0

    @property
    @override
    def robot(self) -> str:
        return self._settings.robot_name

    @property
    @override
    def box(self) -> Box:
        return self._settings.box

    @property
    @override
    def limits(self) -> Limits:
        return self._settings.limits

    @property
    @override
    def gripper_kind(self) -> GripperKind:
        return self._settings.gripper

    @property
    @override
    def cameras(self) -> tuple[str, ...]:
        return ()

    def read_state(self) -> dict[str, np.ndarray]:
        """Return the state, with the effect of all answered commands."""
        answered_s = self._answered_s
        while (state := self._state.read())["time_s"][0] <= answered_s:
            time.sleep(self._settings.tick_s)
        return state

    @override
    def snapshot(self) -> Snapshot:
        state = self.read_state()
        mode = Mode(int(state["mode"][0]))
        return Snapshot(
            time_s=float(state["time_s"][0]),
            mode=mode,
            pose=with_scipy_sign(state["pose"]),
            velocity=state["velocity"],
            force_N=state.get("force"),
            torque_Nm=state.get("torque"),
            q=state["q"],
            dq=state["dq"],
            jacobian=state["jacobian"].reshape(6, -1),
            gripper=float(state["gripper"][0]),
            set_point=with_scipy_sign(state["set_point"]),
            halted_by=self.call("why_halted") if mode == Mode.HALTED else "",
        )

    @override
    def move(self, pose: Pose) -> None:
        self.call("command", pose=pose.tolist())

    @override
    def gripper(self, verb: GripperVerb) -> None:
        self.call("command_gripper", verb=verb)

    @override
    def move_gripper(self, position: float) -> None:
        self.call("move_gripper", position=position)

    @override
    def set_compliance(self, compliance: Compliance) -> None:
        self.call("set_compliance", compliance=compliance.as_dict())
        self._compliance = compliance

    @override
    def compliance(self) -> Compliance:
        return self._compliance

    @override
    def set_load(self, load: Load) -> None:
        self.call("set_load", load=dataclasses.asdict(load))

    @override
    def start_impedance(self) -> None:
        self.call("start_impedance")

    @override
    def stop_impedance(self) -> None:
        self.call("stop_impedance")

    @override
    def joint_reset(self) -> None:
        self.call("joint_reset")
        until = time.monotonic() + _RESET_S
        while (now := self.snapshot()).mode == Mode.RESETTING and time.monotonic() < until:
            time.sleep(_POLL_S)
        error = float(np.abs(now.q - self._settings.reset_joints_rad).max())
        if now.mode != Mode.IMPEDANCE or error > self._settings.reset_tolerance_rad:
            raise ArmStateError(f"The joints did not reach the reset posture; one is {error:.3f} rad away from it.")

    @override
    def halt(self, reason: str) -> None:
        # Never through the pipe: another command may be waiting there.
        self._stop_line.halt(self._state, reason, self._answer_s)

    @property
    @override
    def stop_memory(self) -> StopMemory:
        return self._stop_memory

    @property
    @override
    def is_lost(self) -> bool:
        return self._pipe.closed or not self._process.is_alive

    @override
    def cut_way(self) -> CutWay:
        state = self._state.read()
        return CutWay(int(state["ways_cut"][0]), *state["missing"].tolist())

    @override
    def recover(self) -> None:
        self.call("recover")

    @override
    def image(self, camera: str, height: int, width: int) -> tuple[np.ndarray, float]:
        """Raise the error of an unknown camera: this arm has no cameras."""
        raise unknown("camera", camera, self.cameras)

    @override
    def metrics(self) -> Mapping[str, float]:
        state = self._state.read()
        ticks = int(state["ticks"][0])
        measured = min(ticks, WINDOW)
        return {
            "loop_real_time_priority": int(state["real_time"][0]),
            "loop_ticks": ticks,
            "loop_ticks_skipped": int(state["skipped"][0]),
            "watchdog_holds": int(state["watchdog_holds"][0]),
            "ways_cut": int(state["ways_cut"][0]),
            **percentiles_ms("loop_lateness", self._process.lateness_s[:measured].copy()),
            **percentiles_ms("loop_busy", self._process.busy_s[:measured].copy()),
        }

    def call(self, method: str, **given: Any) -> Any:
        """Call a method of the arm between two ticks.

        Raises:
            ArmStateError: the arm's state forbids it.
            LostError: the loop has ended or does not answer.
        """
        with self._lock:
            try:
                self._pipe.send_bytes(json.dumps({"method": method, **given}).encode())
                if not self._pipe.poll(self._answer_s):
                    # A late answer would be taken for the answer to the next command.
                    self._pipe.close()
                    raise LostError(f"The arm's loop did not answer within {self._answer_s:.0f} s; restart the server.")
                reply = json.loads(self._pipe.recv_bytes())
            except (EOFError, OSError) as error:
                raise LostError("The arm's loop has ended; restart the server.") from error
            self._answered_s = reply["time_s"]
        if "state_error" in reply:
            raise ArmStateError(reply["state_error"])
        return reply["value"]

    @override
    def close(self) -> None:
        self._process.close()
