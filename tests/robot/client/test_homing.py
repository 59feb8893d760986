"""Motion of an arm to a pose through its server."""

from typing import Any

import numpy as np
import pytest

from hilserl.robot.client.client import RobotClient
from hilserl.robot.client.homing import Homing
from hilserl.robot.control.backend import ArmStateError
from tests.support.robot_rig import HOME


class ObedientArm(RobotClient):
    """Client of an arm that reaches each pose at once, with an offset."""

    def __init__(self, offset_m: float = 0.0) -> None:
        super().__init__("http://127.0.0.1:9")
        self._offset_m = offset_m
        self.pose = np.array(HOME)
        self.commanded: list[np.ndarray] = []

    def post(self, route: str, body: object = None, *, patient: bool = False) -> bytes:
        assert (route, patient) == ("pose", False)
        assert isinstance(body, dict)
        pose: Any = body["arr"]
        self.commanded.append(np.array(pose))
        self.pose = np.array(pose) + np.array([self._offset_m, 0, 0, 0, 0, 0, 0])
        return b"Moved"

    def state(self) -> dict[str, np.ndarray]:
        return {"pose": self.pose}


def test_homing_moves_along_a_straight_line_at_its_speed() -> None:
    arm, goal = ObedientArm(), np.array([0.5, 0.1, 0.2, 1, 0, 0, 0])
    Homing(arm, speed_m_per_s=1.0).go(goal)
    assert np.allclose(arm.commanded[-1], goal)
    path = np.array([HOME, *arm.commanded])[:, :3]
    steps = np.diff(path, axis=0)
    assert np.allclose(steps, steps[0])
    assert np.linalg.norm(steps[0]) <= 1.0 / 20 + 1e-9, "20 steps a second"


def test_homing_turns_no_faster_than_a_radian_a_second() -> None:
    arm, goal = ObedientArm(), np.array([*HOME[:3], np.cos(0.15), np.sin(0.15), 0, 0])
    Homing(arm, speed_m_per_s=1.0).go(goal)
    assert len(arm.commanded) == 6
    assert np.allclose(arm.commanded[-1], goal)


def test_homing_says_where_the_tool_stands_if_it_does_not_get_there() -> None:
    arm = ObedientArm(offset_m=0.05)
    with pytest.raises(ArmStateError, match=r"did not reach .*0\.45"):
        Homing(arm, speed_m_per_s=1.0, patience_s=0.1).go(np.array(HOME))


def test_homing_accepts_a_pose_within_its_distance() -> None:
    arm = ObedientArm(offset_m=0.05)
    Homing(arm, speed_m_per_s=1.0, near_m=0.06).go(np.array(HOME))
    assert len(arm.commanded) == 1
