"""Teleoperators."""

from dataclasses import dataclass
from typing import Any, ClassVar

from lerobot.registry import CalibrationDirectory, ChoiceRegistry, Device, make_device


@dataclass(kw_only=True)
class TeleoperatorConfig(ChoiceRegistry):
    """Settings of a teleoperator."""

    _choices: ClassVar[dict[str, Any]] = {}
    id: str | None = None
    calibration_dir: CalibrationDirectory = None


class Teleoperator(Device):
    """Teleoperator; LeRobot's own is abstract."""


def make_teleoperator_from_config(config: TeleoperatorConfig) -> Any:
    """Make a teleoperator."""
    return make_device(config)
