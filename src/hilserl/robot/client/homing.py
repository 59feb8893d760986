"""Motion of an arm to a pose through its server."""

import math

import numpy as np

from hilserl.robot.client.client import RobotClient
from hilserl.robot.control.backend import ArmStateError
from hilserl.robot.control.poses import Pose, angle_rad, turned_towards
from hilserl.robot.control.timing import RateLimiter

_HZ = 20
_TURN_RAD_PER_S = 1.0
_NEAR_RAD = 0.05


class Homing:
    """Motion along straight lines, in small steps at a steady rate.

    Args:
        client: client of the arm's server.
        speed_m_per_s: speed of the tool.
        near_m: distance at which the tool counts as there.
        patience_s: time to wait at the goal for the tool.
        turns: False for an arm that cannot follow every turn, whose orientation does not count.
    """

    def __init__(
        self,
        client: RobotClient,
        speed_m_per_s: float,
        near_m: float = 0.008,
        patience_s: float = 3.0,
        *,
        turns: bool = True,
    ) -> None:
        self._client, self._speed_m_per_s, self._turns = client, speed_m_per_s, turns
        self._near_m, self._patience_steps = near_m, round(patience_s * _HZ)

    def go(self, goal: Pose) -> None:
        """Move the tool to a pose. Raises `ArmStateError` if it does not get there."""
        start, rate = self._client.state()["pose"], RateLimiter(_HZ)
        now = start
        metres = float(np.linalg.norm(goal[:3] - start[:3])) / self._speed_m_per_s
        turn = angle_rad(start[3:], goal[3:])
        steps = max(1, math.ceil(_HZ * max(metres, turn / _TURN_RAD_PER_S)))
        rate.begin()
        for step in range(1, steps + self._patience_steps):
            part = min(1.0, step / steps)
            position = start[:3] + part * (goal[:3] - start[:3])
            waypoint = np.concatenate([position, turned_towards(start[3:], goal[3:], part * turn)])
            self._client.post("pose", {"arr": waypoint.tolist()})
            rate.wait()
            now = self._client.state()["pose"]
            if step >= steps and self._is_near(now, goal):
                return
        raise ArmStateError(f"The tool did not reach {goal[:3].round(3)} m; it stands at {now[:3].round(3)} m.")

    def _is_near(self, pose: Pose, goal: Pose) -> bool:
        distance_m = float(np.linalg.norm(pose[:3] - goal[:3]))
        return distance_m < self._near_m and (not self._turns or angle_rad(pose[3:], goal[3:]) < _NEAR_RAD)
