"""Moving an arm somewhere through its server, in small steps at a steady pace."""

import math

import numpy as np

from hilserl.robot.client.client import RobotClient
from hilserl.robot.control.backend import ArmStateError
from hilserl.robot.control.poses import Pose, angle_rad, turned_towards
from hilserl.robot.control.timing import RateLimiter

_HZ = 20
_TURN_RAD_PER_S = 1.0
_NEAR_M, _NEAR_RAD = 0.008, 0.05
_PATIENCE_STEPS = 3 * _HZ


class Homing:
    """Straight lines at one speed."""

    def __init__(self, client: RobotClient, speed_m_per_s: float) -> None:
        self._client, self._speed_m_per_s = client, speed_m_per_s

    def go(self, goal: Pose) -> None:
        """Until the tool is there. Raises `ArmStateError` where it does not get there."""
        start, pace = self._client.state()["pose"], RateLimiter(_HZ)
        now = start
        metres = float(np.linalg.norm(goal[:3] - start[:3])) / self._speed_m_per_s
        turn = angle_rad(start[3:], goal[3:])
        steps = max(1, math.ceil(_HZ * max(metres, turn / _TURN_RAD_PER_S)))
        pace.begin()
        for step in range(1, steps + _PATIENCE_STEPS):
            part = min(1.0, step / steps)
            position = start[:3] + part * (goal[:3] - start[:3])
            waypoint = np.concatenate([position, turned_towards(start[3:], goal[3:], part * turn)])
            self._client.post("pose", {"arr": waypoint.tolist()})
            pace.wait()
            now = self._client.state()["pose"]
            if step >= steps and _is_near(now, goal):
                return
        raise ArmStateError(f"The tool did not get to {goal[:3].round(3)} m; it stands at {now[:3].round(3)} m.")


def _is_near(pose: Pose, goal: Pose) -> bool:
    return float(np.linalg.norm(pose[:3] - goal[:3])) < _NEAR_M and angle_rad(pose[3:], goal[3:]) < _NEAR_RAD
