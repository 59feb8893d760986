"""Inverse kinematics reach what can be reached, within the joints' limits."""

import numpy as np
import pytest

from hilserl.sim.quaternions import turn_between
from hilserl.sim.robot_models.kinematics import ArmKinematics
from hilserl.sim.robot_models.model import TURNS, RobotModel
from hilserl.sim.robot_models.registry import ROBOTS
from hilserl.sim.robot_models.so101 import SO101
from hilserl.sim.robot_models.ur5e import UR5E

TAKE_POSITIONS = [pytest.param(robot, id=name) for name, robot in ROBOTS.items() if robot.servo]


@pytest.mark.parametrize("robot", TAKE_POSITIONS)
def test_tool_comes_to_points_of_the_workspace(robot: RobotModel) -> None:
    home = np.array(robot.home_joints_rad)
    kinematics, rng = ArmKinematics(robot, home), np.random.default_rng(0)
    low, high = np.array(robot.workspace_low_m) + 0.02, np.array(robot.workspace_high_m) - 0.02
    orientation = np.array(robot.tool_wxyz)
    joints, (place, _) = home, kinematics.tool_pose(home)
    for goal in rng.uniform(low, high, (20, 3)):
        for part in np.linspace(0, 1, 11)[1:]:
            joints = kinematics.solve(joints, place + part * (goal - place), orientation)
        place, quaternion = kinematics.tool_pose(joints)
        assert np.linalg.norm(place - goal) < 0.002
        if robot.turns == TURNS:
            assert np.linalg.norm(turn_between(quaternion, orientation)) < 0.01


@pytest.mark.parametrize("robot", TAKE_POSITIONS)
def test_joints_stay_within_their_limits_far_out_of_reach(robot: RobotModel) -> None:
    home = np.array(robot.home_joints_rad)
    kinematics = ArmKinematics(robot, home)
    model = robot.spec().compile()
    ranges = np.array([model.joint(name).range for name in robot.joints])
    joints = home
    for _ in range(10):
        joints = kinematics.solve(joints, np.array([3.0, 1.0, 2.0]), np.array(robot.tool_wxyz))
        assert (joints >= ranges[:, 0] - 1e-6).all()
        assert (joints <= ranges[:, 1] + 1e-6).all()


def test_five_joints_keep_the_position_and_give_way_in_the_turn() -> None:
    """SO-101 cannot lean sideways: asked to, its tool stays where it is."""
    home = np.array(SO101.home_joints_rad)
    kinematics = ArmKinematics(SO101, home)
    place, quaternion = kinematics.tool_pose(home)
    leaning = np.array(SO101.tool_wxyz) + np.array([0.15, 0.0, 0.0, 0.0])
    joints = kinematics.solve(home, place, leaning / np.linalg.norm(leaning))
    moved, turned = kinematics.tool_pose(joints)
    assert np.linalg.norm(moved - place) < 0.003
    assert np.linalg.norm(turn_between(turned, leaning / np.linalg.norm(leaning))) > 0.1
    assert np.linalg.norm(turn_between(quaternion, turned)) < 0.3


def test_solution_is_near_the_present_joints() -> None:
    home = np.array(UR5E.home_joints_rad)
    kinematics = ArmKinematics(UR5E, home)
    place, quaternion = kinematics.tool_pose(home)
    joints = kinematics.solve(home, place + np.array([0.01, 0.0, 0.0]), quaternion)
    assert np.abs(joints - home).max() < 0.1
