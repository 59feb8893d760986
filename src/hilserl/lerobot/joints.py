"""Conversion between LeRobot's numbers for joints and angles.

LeRobot tells a joint in degrees about the middle of its calibrated range, or in percent of it: -100 to 100. A gripper
is 0 to 100. A device that is neither declares its units.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from hilserl.errors import HilserlError
from hilserl.lerobot.process import DeviceInfo
from hilserl.settings import Positive, check_settings

Units = Literal["auto", "degrees", "percent", "radians"]

SUFFIX = ".pos"
"""End of the keys of positions."""
_GRIPPER = "gripper"
_TICKS = 4095
"""Ticks of a turn, by which LeRobot converts."""


@dataclass(frozen=True)
class LeRobotConfig:
    """LeRobot's interpreter, and the units of its device."""

    python: Path | None = None
    """Interpreter that has LeRobot; by default this one."""
    units: Units = "auto"
    """Units of the joints. auto is what the device declares."""
    joints: tuple[str, ...] = ()
    """LeRobot's names of the joints, from the base. By default the description's."""
    reversed_joints: tuple[str, ...] = ()
    """Joints that turn against the robot's description."""
    zero_deg: tuple[float, ...] = ()
    """Angles in degrees at which LeRobot says 0. By default 0."""
    gripper_closed: float = 0.0
    """LeRobot's number for the closed gripper."""
    gripper_open: float = 100.0
    """LeRobot's number for the gripper at the open end of its range."""
    rate_hz: Positive = 50.0
    """Measurements a second."""
    words: tuple[str, ...] = ()
    """LeRobot's own flags without dashes. Each --robot.X and --teleop.X is one."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.gripper_open == self.gripper_closed:
            raise HilserlError(f"gripper_open and gripper_closed are both {self.gripper_open}; expected two numbers.")


@dataclass(frozen=True)
class JointMap:
    """Linear map between LeRobot's numbers and a description's angles."""

    keys: tuple[str, ...]
    """LeRobot's keys, from the base."""
    rad_per_unit: np.ndarray
    """Angle of a unit, signed, float64 [n]."""
    zero_rad: np.ndarray
    """Angle at which LeRobot says 0, float64 [n]."""

    def read(self, numbers: Mapping[str, float]) -> np.ndarray:
        """Convert measured numbers to angles, float64 [n] in rad.

        Raises:
            HilserlError: a number is missing or not finite.
        """
        told = [numbers.get(key, math.nan) for key in self.keys]
        if not np.isfinite(told).all():
            raise HilserlError(f"The device gave no finite numbers for {', '.join(self.keys)}: {dict(numbers)}.")
        return self.zero_rad + self.rad_per_unit * np.array(told)

    def write(self, angles_rad: np.ndarray) -> dict[str, float]:
        """Convert angles to the numbers of an action."""
        told = (angles_rad - self.zero_rad) / self.rad_per_unit
        return dict(zip(self.keys, told.tolist(), strict=True))


def joint_map(config: LeRobotConfig, info: DeviceInfo, joints: Sequence[str], ranges_rad: np.ndarray) -> JointMap:
    """Match a device's joints with those of a robot's description.

    Args:
        config: names and units that the user gives.
        info: what the device declares.
        joints: the description's joints, from the base.
        ranges_rad: their limits, float64 [n, 2]; used for percent where the device has no calibration.

    Raises:
        HilserlError: names or units do not fit; the message says what to give.
    """
    names = _names(config, info, joints)
    units = _units(config, info)
    if units == "percent":
        size = np.array([_half_range_rad(info, name, ends) for name, ends in zip(names, ranges_rad, strict=True)]) / 100
    else:
        size = np.full(len(names), math.radians(1) if units == "degrees" else 1.0)
    if unknown := [name for name in config.reversed_joints if name not in names]:
        raise HilserlError(f"Unknown reversed_joints {', '.join(unknown)}. Available: {', '.join(names)}.")
    sign = np.array([-1.0 if name in config.reversed_joints else 1.0 for name in names])
    zero_deg = config.zero_deg or (0.0,) * len(names)
    if len(zero_deg) != len(names):
        raise HilserlError(f"zero_deg has {len(zero_deg)} numbers; expected one for each of {', '.join(names)}.")
    return JointMap(tuple(name + SUFFIX for name in names), sign * size, np.radians(zero_deg))


def _names(config: LeRobotConfig, info: DeviceInfo, joints: Sequence[str]) -> tuple[str, ...]:
    """Return LeRobot's names of the joints."""
    available = [key.removesuffix(SUFFIX) for key in info.commanded if key.endswith(SUFFIX)]
    names = config.joints or tuple(joint.rpartition("/")[2] for joint in joints)
    missing = [name for name in names if name not in available]
    if missing or len(names) != len(joints):
        raise HilserlError(
            f"The device {info.name} has no joints {', '.join(missing or names)} that fit the description's "
            f"{len(joints)}: {', '.join(joints)}. Name those of the device in this order with --lerobot.joints "
            f"(a robot) or --console.lerobot.joints (a hand). Available: {', '.join(available) or 'none'}."
        )
    return names


def _units(config: LeRobotConfig, info: DeviceInfo) -> Units:
    if config.units != "auto":
        return config.units
    if info.use_degrees is None:
        raise HilserlError(
            f"The device {info.name} does not say its units. Give them with --lerobot.units (a robot) or "
            "--console.lerobot.units (a hand). Available: degrees, percent, radians."
        )
    return "degrees" if info.use_degrees else "percent"


def _half_range_rad(info: DeviceInfo, name: str, ends_rad: np.ndarray) -> float:
    """Return half of a joint's range: the calibrated one, else the description's."""
    if name in info.calibration:
        low, high = info.calibration[name]
        return (high - low) / 2 * 2 * math.pi / _TICKS
    return float(ends_rad[1] - ends_rad[0]) / 2


@dataclass(frozen=True)
class GripperMap:
    """Linear map between LeRobot's number for a gripper and its opening."""

    key: str
    """LeRobot's key."""
    closed: float
    """Number of the closed gripper."""
    open: float
    """Number at the open end of the range."""

    def part(self, number: float) -> float:
        """Return the part of the range that is open, 0 to 1."""
        return min(max((number - self.closed) / (self.open - self.closed), 0.0), 1.0)

    def number(self, part: float) -> float:
        """Return LeRobot's number for an open part of the range."""
        return self.closed + part * (self.open - self.closed)


def gripper_map(config: LeRobotConfig, info: DeviceInfo) -> GripperMap | None:
    """Return the map of a device's gripper; None if it has none."""
    key = _GRIPPER + SUFFIX
    return GripperMap(key, config.gripper_closed, config.gripper_open) if key in info.commanded else None
