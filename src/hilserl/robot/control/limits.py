"""How far and how fast an arm may be commanded."""

from dataclasses import dataclass

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.poses import Pose
from hilserl.sim.control import ArmSetup, Vec3


@dataclass(frozen=True)
class Box:
    """Where the tool may be, in the robot's base frame."""

    low_m: Vec3 = ArmSetup.workspace_low_m
    high_m: Vec3 = ArmSetup.workspace_high_m

    def __post_init__(self) -> None:
        bounds = np.array([self.low_m, self.high_m])
        if not np.isfinite(bounds).all() or (bounds[0] >= bounds[1]).any():
            raise HilserlError(f"The box from {self.low_m} to {self.high_m} m is empty; expected low below high.")

    def nearest(self, pose: Pose) -> tuple[Pose, bool]:
        """The pose with its position moved into the box, and whether it had to be moved."""
        inside = pose.copy()
        inside[:3] = np.clip(pose[:3], self.low_m, self.high_m)
        return inside, bool((inside[:3] != pose[:3]).any())


@dataclass(frozen=True)
class Limits:
    """What a commanded pose may ask for.

    A pose as near as `max_step_m` and `max_turn_rad` is taken at once, one further away is walked to. The defaults
    let the simulated tasks' full action at 10 Hz, 3.5 cm along each axis, pass as it is; a first trial on hardware
    wants less.
    """

    max_step_m: float = 0.07
    """How far the commanded pose may jump."""
    max_turn_rad: float = 0.4
    max_speed_m_per_s: float = 0.7
    """How fast the commanded pose may travel, jumps included."""
    max_turn_speed_rad_per_s: float = 2.5
    watchdog_s: float = 0.12
    """The arm holds its measured pose once no new pose has come for this long."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not (np.isfinite(value) and value > 0):
                raise HilserlError(f"{name} is {value}; expected a number above 0.")
