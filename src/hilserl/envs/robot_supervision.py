"""The task's knowledge of an arm behind a robot server."""

from typing import Any

import numpy as np

from hilserl.errors import HilserlError
from hilserl.sim.teleoperation import ArmTeleoperation


class RobotSupervision:
    """The task's knowledge of a scene that the robot server simulates."""

    def __init__(self, teleoperation: ArmTeleoperation) -> None:
        self._teleoperation = teleoperation
        self.truth: dict[str, Any] | None = None
        """The server's last answer to /sim/truth."""

    def _known(self) -> dict[str, Any]:
        if self.truth is None:
            raise HilserlError("A real arm has no script to drive it; choose a human operator, as --operator console.")
        return self.truth

    def expert_action(self) -> np.ndarray:
        """Return the script's action at the last observation, float64 [n]."""
        return self.to_action(self.expert_way())

    def to_action(self, way: np.ndarray) -> np.ndarray:
        """Convert a way along the world's axes to an action.

        Both are float64 [n]. The action is at most one full step.
        """
        return self._teleoperation.full_action(way)

    def expert_way(self) -> np.ndarray:
        """Return the script's way at the last observation.

        It is float64 [n], in full steps along the world's axes.
        """
        return np.array(self._known()["expert_way"])

    def progress(self) -> float:
        """Return the progress at the last observation, from 0 to 1."""
        return self._known()["progress"]

    def succeeded(self) -> bool:
        """True if the task was done at the last observation."""
        return bool(self._known()["success"])

    def harm(self) -> bool:
        """True if an operator would stop the robot at the last observation."""
        return bool(self._known()["harm"])
