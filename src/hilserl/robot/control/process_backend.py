"""An arm as the server sees it: a process that ticks, a board that shows its state, a line for commands."""

import contextlib
import dataclasses
import json
import multiprocessing
import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from hilserl.errors import HilserlError, unknown
from hilserl.robot.control.backend import ArmStateError, GripperKind, GripperVerb, Load, LostError, Mode, Snapshot
from hilserl.robot.control.driver import ArmSettings
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.loop import layout, run
from hilserl.robot.control.poses import Pose
from hilserl.robot.control.shared_state import SharedState
from hilserl.robot.control.timing import WINDOW, percentiles_ms

_START_S, _ANSWER_S, _RESET_S = 60.0, 5.0, 40.0
_RESET_TOLERANCE_RAD = 0.02
_POLL_S = 0.01


class LoopBackend:
    """Starts the loop at once. Raises HilserlError where the settings make no arm."""

    def __init__(self, settings: ArmSettings) -> None:
        self._settings = settings
        # A forked child would inherit the server's threads and locks in whatever state they are.
        context = multiprocessing.get_context("spawn")
        sizes = layout(settings)
        memory, rings = SharedState.memory(context, sizes), context.RawArray("d", 2 * WINDOW)
        self._board = SharedState(memory, sizes, settings.patience_s)
        self._answer_s = max(_ANSWER_S, settings.patience_s)
        self._lateness_s, self._busy_s = np.frombuffer(rings).reshape(2, WINDOW)
        self._line, theirs = context.Pipe()
        self._lock = threading.Lock()
        self._compliance = Compliance()
        self._told_s = 0.0
        self._process = context.Process(target=run, args=(settings, memory, rings, theirs), daemon=True)
        self._process.start()
        theirs.close()
        self._await_start()

    def _await_start(self) -> None:
        try:
            if not self._line.poll(_START_S):
                raise HilserlError(f"The arm did not start within {_START_S:.0f} s.")
            reply = json.loads(self._line.recv_bytes())
            if "error" in reply:
                raise HilserlError(reply["error"])
        except EOFError as error:
            self.close()
            raise HilserlError("The arm's process ended while it was starting.") from error
        except HilserlError:
            self.close()
            raise
        until = time.monotonic() + _ANSWER_S
        while not self._shows_state() and time.monotonic() < until:
            time.sleep(_POLL_S)

    def _shows_state(self) -> bool:
        with contextlib.suppress(LostError):
            return bool(self._board.read()["time_s"])
        return False

    @property
    def box(self) -> Box:
        return self._settings.box

    @property
    def limits(self) -> Limits:
        return self._settings.limits

    @property
    def gripper_kind(self) -> GripperKind:
        return self._settings.gripper

    @property
    def cameras(self) -> tuple[str, ...]:
        return ()

    def seen(self) -> dict[str, np.ndarray]:
        """The board, once it shows what every command did that has been answered."""
        told_s = self._told_s
        while (seen := self._board.read())["time_s"][0] <= told_s:
            time.sleep(self._settings.tick_s)
        return seen

    def snapshot(self) -> Snapshot:
        seen = self.seen()
        mode = Mode(int(seen["mode"][0]))
        return Snapshot(
            time_s=float(seen["time_s"][0]),
            mode=mode,
            pose=seen["pose"],
            velocity=seen["velocity"],
            force_N=seen["force"],
            torque_Nm=seen["torque"],
            q=seen["q"],
            dq=seen["dq"],
            jacobian=seen["jacobian"].reshape(6, 7),
            gripper=float(seen["gripper"][0]),
            set_point=seen["set_point"],
            halted_by=self.ask("why_halted") if mode == Mode.HALTED else "",
        )

    def move(self, pose: Pose) -> None:
        self.ask("command", pose=pose.tolist())

    def gripper(self, verb: GripperVerb) -> None:
        self.ask("command_gripper", verb=verb)

    def move_gripper(self, position: float) -> None:
        self.ask("move_gripper", position=position)

    def set_compliance(self, compliance: Compliance) -> None:
        self.ask("set_compliance", compliance=compliance.as_dict())
        self._compliance = compliance

    def compliance(self) -> Compliance:
        return self._compliance

    def set_load(self, load: Load) -> None:
        self.ask("set_load", load=dataclasses.asdict(load))

    def start_impedance(self) -> None:
        self.ask("start_impedance")

    def stop_impedance(self) -> None:
        self.ask("stop_impedance")

    def joint_reset(self) -> None:
        self.ask("joint_reset")
        until = time.monotonic() + _RESET_S
        while (now := self.snapshot()).mode == Mode.RESETTING and time.monotonic() < until:
            time.sleep(_POLL_S)
        error = float(np.abs(now.q - self._settings.reset_joints_rad).max())
        if now.mode != Mode.IMPEDANCE or error > _RESET_TOLERANCE_RAD:
            raise ArmStateError(
                f"The joints did not get to the reset posture; the furthest is {error:.3f} rad from it."
            )

    def halt(self, reason: str) -> None:
        self.ask("halt", reason=reason)

    def recover(self) -> None:
        self.ask("recover")

    def picture(self, camera: str, height: int, width: int) -> tuple[np.ndarray, float]:  # noqa: ARG002
        """This one has no cameras."""
        raise unknown("camera", camera, self.cameras)

    def metrics(self) -> Mapping[str, float]:
        seen = self._board.read()
        ticks = int(seen["ticks"][0])
        measured = min(ticks, WINDOW)
        return {
            "loop_real_time_priority": int(seen["real_time"][0]),
            "loop_ticks": ticks,
            "loop_ticks_skipped": int(seen["skipped"][0]),
            "watchdog_holds": int(seen["watchdog_holds"][0]),
            **percentiles_ms("loop_lateness", self._lateness_s[:measured].copy()),
            **percentiles_ms("loop_busy", self._busy_s[:measured].copy()),
        }

    def ask(self, what: str, **given: Any) -> Any:
        """What a method of the arm returns, called between two ticks.

        Raises `ArmStateError` or `LostError` where it is not done.
        """
        with self._lock:
            try:
                self._line.send_bytes(json.dumps({"do": what, **given}).encode())
                if not self._line.poll(self._answer_s):
                    # An answer that comes after all would be taken for that to the next question.
                    self._line.close()
                    raise LostError(f"The arm's loop did not answer within {self._answer_s:.0f} s; restart the server.")
                reply = json.loads(self._line.recv_bytes())
            except (EOFError, OSError) as error:
                raise LostError("The arm's loop has ended; restart the server.") from error
            self._told_s = reply["time_s"]
        if "refused" in reply:
            raise ArmStateError(reply["refused"])
        return reply["value"]

    def close(self) -> None:
        """Ends the loop."""
        with self._lock:
            self._line.close()
        self._process.join(_ANSWER_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
