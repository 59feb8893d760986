"""Leader arm in LeRobot's process that a test moves."""

import json
from pathlib import Path

import numpy as np

from hilserl.files import atomically
from hilserl.sim.robot_models.kinematics import ArmKinematics
from hilserl.sim.robot_models.so101 import SO101
from tests.support.lerobot_rig import PYTHON


class ToldLeader:
    """Leader arm of `lerobot_teleoperator_file`, open and at home.

    Args:
        path: the file that tells it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        home = np.array(SO101.home_joints_rad)
        self._kinematics, self._q = ArmKinematics(SO101, home), home
        self.jaw, self.intervenes = 90.0, False
        self.tell()

    @property
    def words(self) -> tuple[str, ...]:
        """LeRobot's flags without dashes."""
        plugin = "teleop.discover_packages_path=lerobot_teleoperator_file"
        return "teleop.type=file_leader", plugin, f"teleop.path={self._path}"

    @property
    def flags(self) -> tuple[str, ...]:
        """Flags of a verb that this leader drives."""
        of_lerobot = (f"--{word}" for word in self.words)
        return "--robot", "so101", "--operator", "lerobot", "--console.lerobot.python", str(PYTHON), *of_lerobot

    def move(self, way_m: np.ndarray) -> None:
        """Move the leader's tool by a way, [3]."""
        position, quaternion = self._kinematics.tool_pose(self._q)
        self._q = self._kinematics.solve(self._q, position + way_m, quaternion)
        self.tell()

    def tell(self) -> None:
        """Write joints, jaw and events."""
        joints = [*np.degrees(self._q).tolist(), self.jaw]
        text = json.dumps({"joints": joints, "events": {"is_intervention": self.intervenes}})
        atomically(self._path, lambda part: part.write_text(text))
