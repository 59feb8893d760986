"""What a loop drives: one arm and its controller, a tick at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hilserl.robot.control.backend import ArmStateError, GripperKind, GripperVerb, Load, Mode, halted
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import Pose

MEASURED = {
    "pose": 7,
    "velocity": 6,
    "force": 3,
    "torque": 3,
    "q": 7,
    "dq": 7,
    "jacobian": 42,
    "gripper": 1,
    "set_point": 7,
}
"""What every arm measures, and how many numbers each is; units and frames are those of `Snapshot`."""


class BaseArm(Protocol):
    """Its loop calls `tick` once a period and everything else between two ticks, all from one thread.

    Commands raise `ArmStateError` where the arm's state forbids them. Whatever an arm offers beyond these methods its
    backend can ask for by name.
    """

    mode: Mode
    governor: CommandLimiter

    @property
    def waited_s(self) -> float | None:
        """How long the last tick waited for the robot, which paces it; None where the loop has to."""
        ...

    @property
    def now_s(self) -> float:
        """The arm's clock; every tick moves it on."""
        ...

    def tick(self) -> None:
        """Measure and control once. Raises HilserlError where the arm is lost."""
        ...

    def measurements(self) -> Mapping[str, np.ndarray]:
        """`MEASURED` as of the last tick, and what the settings' `more` promises; float64."""
        ...

    def command(self, pose: Pose) -> None: ...
    def command_gripper(self, verb: GripperVerb) -> None: ...
    def move_gripper(self, position: float) -> None: ...
    def set_compliance(self, compliance: Compliance) -> None: ...
    def set_load(self, load: Load) -> None: ...
    def start_impedance(self) -> None: ...
    def stop_impedance(self) -> None: ...

    def joint_reset(self) -> None:
        """Begins it; the mode is RESETTING until it has ended, in IMPEDANCE or, where it failed, in another one."""
        ...

    def halt(self, reason: str) -> None: ...
    def recover(self) -> None: ...

    def why_halted(self) -> str:
        """What was last halted for, be it by `halt` or by the arm itself."""
        ...

    def close(self) -> None:
        """Leaves the arm standing."""
        ...


class Guarded:
    """What an arm's mode forbids."""

    mode: Mode
    _halted_by: str

    def why_halted(self) -> str:
        return self._halted_by

    def _require_motion(self) -> None:
        if self.mode == Mode.HALTED:
            raise halted(self._halted_by)
        if self.mode == Mode.RESETTING:
            raise ArmStateError("The arm is moving its joints to the reset posture.")

    def _require_impedance(self) -> None:
        self._require_motion()
        if self.mode != Mode.IMPEDANCE:
            raise ArmStateError("The impedance is stopped, so the arm cannot be moved; POST /startimp.")


@dataclass(frozen=True)
class ArmSettings:
    """An arm that is not there yet; `make` is called in the loop's process."""

    box: Box
    limits: Limits
    gripper: GripperKind
    reset_joints_rad: tuple[float, ...]

    @property
    def tick_s(self) -> float:
        """How often the loop ticks."""
        return 0.001

    @property
    def patience_s(self) -> float:
        """How long a single command may keep the loop from ticking; one that is silent for longer is given up."""
        return 1.0

    @property
    def more(self) -> Mapping[str, int]:
        """What the arm measures beyond `MEASURED`."""
        return {}

    def make(self) -> BaseArm:
        """Raises HilserlError where the settings make no arm."""
        raise NotImplementedError
