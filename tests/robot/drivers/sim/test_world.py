"""A world with two simulated arms, a tick at a time."""

import numpy as np
import pytest

from hilserl.robot.control.backend import ArmStateError, Mode
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import to_xyzw
from hilserl.robot.drivers.sim.driver import SimArm
from hilserl.robot.drivers.sim.world import SimWorld
from hilserl.sim.control import ArmSetup, PoseControl
from hilserl.sim.quaternions import relative_to, rotate_vector
from hilserl.sim.robot_models.panda import HOME_JOINTS_RAD
from hilserl.tasks.handover import Handover
from tests.support.arms import pose_at, run


def two_arms() -> tuple[SimArm, SimArm]:
    """Make the arms of the handover."""
    world = SimWorld(Handover())
    for setup in Handover.arms:
        box = Box(setup.workspace_low_m, setup.workspace_high_m).seen_from(setup.base_m, setup.base_yaw_rad)
        SimArm(world, box, Limits(), "franka", setup.home_joints_rad or HOME_JOINTS_RAD)
    left, right = world.arms
    return left, right


def test_arms_of_a_world_see_and_move_in_the_frames_of_their_bases() -> None:
    arms = two_arms()
    begun = [arm.pose.copy() for arm in arms]
    for arm, pose in zip(arms, begun, strict=True):
        assert np.allclose(np.abs(pose[3:]), [1, 0, 0, 0], atol=1e-3), "the tool points down, its x axis away"
        for _ in range(5):
            arm.command(pose_at(pose[0] + 0.04, pose[1] + 0.02, pose[2]))
            run(arms[0], 0.1)
            assert np.allclose(arm.velocity, arm.jacobian @ arm.dq)
        assert np.allclose(arm.pose[:3], pose[:3] + np.array([0.04, 0.02, 0.0]), atol=0.004)
        assert np.allclose(arm.pose[3:] / arm.pose[3], [1, 0, 0, 0], atol=0.02)
    # Towards each other, as the bases face each other.
    left_x, right_x = (arm.tcp_position_m[0] for arm in arms[0].sim.arms)
    assert right_x - left_x < 1.3 - begun[0][0] - begun[1][0] - 0.07


def test_arm_of_a_world_stops_alone() -> None:
    left, right = two_arms()
    left.halt("a hand in the way")
    with pytest.raises(ArmStateError):
        left.command(left.pose)
    right.command(right.pose)
    run(left, 0.05)
    assert (left.mode, right.mode) == (Mode.HALTED, Mode.IMPEDANCE)
    assert left.now_s == right.now_s


def test_arms_of_a_world_hand_the_bar_over() -> None:
    """The task's script drives both arms by poses in the frames of their bases."""
    left, right = two_arms()
    left.reset_scene(4, home=True)
    for _ in range(Handover.max_episode_steps):
        truth = left.truth()
        if truth["success"]:
            break
        way = np.clip(truth["expert_way"], -1.0, 1.0).reshape(2, 7)
        for arm, setup, action in zip((left, right), Handover.arms, way, strict=True):
            arm.command(_goal(arm, setup, action[:6]))
            if abs(action[6]) > 0.5:
                arm.command_gripper("open" if action[6] > 0 else "close")
        run(left, 0.1)
    assert left.truth()["success"]


def _goal(arm: SimArm, setup: ArmSetup, move: np.ndarray) -> np.ndarray:
    """Convert a move along the world's axes to a pose in the frame of the arm's base."""
    sensed = arm.sim.arms[arm.together.index(arm)]
    assert isinstance(setup.control, PoseControl)
    position, orientation = setup.control.target(sensed.tcp_position_m, sensed.tcp_quaternion_wxyz, move, setup)
    base = np.array(setup.base_wxyz)
    in_base = rotate_vector(base * (1, -1, -1, -1), position - setup.base_m)
    return np.concatenate([in_base, to_xyzw(relative_to(base, orientation))])


def test_box_of_a_workspace_is_seen_from_the_base() -> None:
    box = Box((0.055, -0.08, 0.02), (0.36, 0.04, 0.28)).seen_from((0.65, 0.0, 0.0), np.pi)
    assert np.allclose(box.low_m, (0.29, -0.04, 0.02))
    assert np.allclose(box.high_m, (0.595, 0.08, 0.28))
    assert Box().seen_from((0.0, 0.0, 0.0), 0.0) == Box()
