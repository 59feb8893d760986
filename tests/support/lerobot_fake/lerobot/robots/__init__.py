"""Robots."""

from dataclasses import dataclass
from typing import Any, ClassVar

from lerobot.registry import CalibrationDirectory, ChoiceRegistry, Device, make_device


@dataclass(kw_only=True)
class RobotConfig(ChoiceRegistry):
    """Settings of a robot."""

    _choices: ClassVar[dict[str, Any]] = {}
    id: str | None = None
    calibration_dir: CalibrationDirectory = None


class Robot(Device):
    """Robot; LeRobot's own is abstract."""


def make_robot_from_config(config: RobotConfig) -> Any:
    """Make a robot."""
    return make_device(config)
