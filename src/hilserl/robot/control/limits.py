"""Bounds on commanded poses: region, step and speed."""

from dataclasses import dataclass

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.control.poses import Pose
from hilserl.settings import Positive, check_settings
from hilserl.sim.control import ArmSetup, Vec3


@dataclass(frozen=True)
class Box:
    """Region in which the tool may be, in the robot's base frame."""

    low_m: Vec3 = ArmSetup.workspace_low_m
    """Lower corner."""
    high_m: Vec3 = ArmSetup.workspace_high_m
    """Upper corner."""

    def __post_init__(self) -> None:
        bounds = np.array([self.low_m, self.high_m])
        if not np.isfinite(bounds).all() or (bounds[0] >= bounds[1]).any():
            raise HilserlError(
                f"Invalid box from {self.low_m} to {self.high_m} m: it is empty; expected low below high."
            )

    def seen_from(self, base_m: Vec3, base_yaw_rad: float) -> "Box":
        """Return the box around this one in a base's frame.

        Args:
            base_m: position of the base in this box's frame.
            base_yaw_rad: turn of the base about +z.
        """
        x, y, z = (np.array([low, high]) for low, high in zip(self.low_m, self.high_m, strict=True))
        corners = np.array(np.meshgrid(x, y, z)).reshape(3, 8) - np.array(base_m)[:, None]
        cos, sin = np.cos(base_yaw_rad), np.sin(base_yaw_rad)
        turned = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]]) @ corners
        low, high = (tuple(ends.round(9).tolist()) for ends in (turned.min(axis=1), turned.max(axis=1)))
        return Box(low, high)

    def clip(self, pose: Pose) -> tuple[Pose, bool]:
        """Move a pose's position into the box.

        Returns:
            The pose, and True if its position had to be moved.
        """
        inside = pose.copy()
        inside[:3] = np.clip(pose[:3], self.low_m, self.high_m)
        return inside, bool((inside[:3] != pose[:3]).any())


@dataclass(frozen=True)
class Limits:
    """Limits on the steps and the speed of commanded poses.

    The arm takes a pose within `max_step_m` and `max_turn_rad` at once, and walks to a pose further away. The
    defaults pass the simulated tasks' full action at 10 Hz, 3.5 cm along each axis; use lower ones for a first trial
    on hardware.
    """

    max_step_m: Positive = 0.07
    """Largest jump of the commanded position."""
    max_turn_rad: Positive = 0.4
    """Largest jump of the commanded orientation."""
    max_speed_m_per_s: Positive = 0.7
    """Largest speed of the commanded position, jumps included."""
    max_turn_speed_rad_per_s: Positive = 2.5
    """Largest turning speed of the commanded orientation, jumps included."""
    watchdog_s: Positive = 0.12
    """Time without a new pose until the arm holds its pose."""

    def __post_init__(self) -> None:
        check_settings(self)
