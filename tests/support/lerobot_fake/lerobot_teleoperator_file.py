"""Leader arm that a file moves, as a plugin of LeRobot."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lerobot.teleoperators import Teleoperator, TeleoperatorConfig

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")


@TeleoperatorConfig.register_subclass("file_leader")
@dataclass(kw_only=True)
class FileLeaderConfig(TeleoperatorConfig):
    """Settings of the leader."""

    path: str
    """File with `joints`, six numbers, and `events` as JSON."""
    use_degrees: bool = True
    """True for degrees."""


class FileLeader(Teleoperator):
    """Leader arm whose joints a file tells."""

    config_class = FileLeaderConfig
    name = "file_leader"

    def __init__(self, config: FileLeaderConfig) -> None:
        super().__init__(config)
        self.config = config
        self.is_connected = False
        self.is_calibrated = True

    @property
    def action_features(self) -> dict[str, type]:
        """Keys of an action."""
        return {f"{joint}.pos": float for joint in JOINTS}

    def connect(self, calibrate: bool = True) -> None:
        """Connect."""
        del calibrate
        self.is_connected = True

    def get_action(self) -> dict[str, Any]:
        """Read the joints."""
        return dict(zip(self.action_features, self._told()["joints"], strict=True))

    def get_teleop_events(self) -> dict[str, bool]:
        """Read the events."""
        return self._told()["events"]

    def _told(self) -> dict[str, Any]:
        """Read the file. Raises ValueError while it is being written."""
        return json.loads(Path(self.config.path).read_text())

    def disconnect(self) -> None:
        """Disconnect."""
        self.is_connected = False
