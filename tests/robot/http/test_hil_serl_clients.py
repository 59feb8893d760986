"""HIL-SERL's own clients in front of a simulated arm, written from its protocol."""

import numpy as np
import pytest

from hilserl.robot.control.poses import angle_rad
from tests.support.hil_serl_client import ReferenceClient, pose_of
from tests.support.loopback import until
from tests.support.robot_rig import Rig


@pytest.mark.parametrize("yaw_rad", [-1.75, -1.5, 1.6])
def test_reset_along_a_straight_line_arrives_at_every_yaw(sim_rig: Rig, yaw_rad: float) -> None:
    client, goal = ReferenceClient(sim_rig.port), pose_of([0.45, 0.05, 0.3], yaw_rad)
    until(lambda: angle_rad(sim_rig.drive(goal.tolist())[3:], goal[3:]) < 0.05, "the turn")
    client.go_to_reset(goal)
    assert {answer.status for answer in client.answers} == {200}
    assert np.linalg.norm(client.pose()[:3] - goal[:3]) < 0.01
    assert angle_rad(client.pose()[3:], goal[3:]) < 0.1
