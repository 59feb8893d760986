"""The built-in robots: complete, within their limits, with the real arms' geometry."""

from dataclasses import replace

import mujoco
import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.sim.control import ArmSetup
from hilserl.sim.quaternions import turn_between
from hilserl.sim.robot_models.kinematics import ArmKinematics
from hilserl.sim.robot_models.model import TURNS, RobotModel
from hilserl.sim.robot_models.panda import PANDA
from hilserl.sim.robot_models.registry import ROBOTS, find_robot
from hilserl.sim.robot_models.so101 import SO101
from hilserl.sim.scene import world
from hilserl.sim.simulation import Simulation

ALL = [pytest.param(robot, id=name) for name, robot in ROBOTS.items()]


def simulated(robot: RobotModel) -> Simulation:
    simulation = Simulation(world((ArmSetup(robot=robot),)), 0.1, (ArmSetup(robot=robot),))
    simulation.restart()
    return simulation


def test_eight_arms_are_built_in() -> None:
    assert set(ROBOTS) == {"panda", "fr3", "ur5e", "xarm7", "gen3", "vx300s", "openarm", "so101"}


def test_unknown_robot_is_told_with_the_nearest() -> None:
    with pytest.raises(HilserlError, match=r"Did you mean 'ur5e'\?"):
        find_robot("ur5")


@pytest.mark.parametrize("robot", ALL)
def test_moving_bodies_have_mass_and_inertia(robot: RobotModel) -> None:
    model = robot.spec().compile()
    moving = [body for body in range(1, model.nbody) if model.body_weldid[body]]
    assert all(model.body_mass[body] > 0 and (model.body_inertia[body] > 0).all() for body in moving)
    assert 0.5 < model.body_mass.sum() < 35.0


@pytest.mark.parametrize("robot", ALL)
def test_home_is_within_the_joint_limits(robot: RobotModel) -> None:
    model = robot.spec().compile()
    for name, position in zip(robot.joints, robot.home_joints_rad, strict=True):
        low, high = model.joint(name).range
        assert low < position < high


@pytest.mark.parametrize("robot", ALL)
def test_tool_at_home_has_its_nominal_orientation(robot: RobotModel) -> None:
    joints = np.array(robot.home_joints_rad)
    position, quaternion = ArmKinematics(robot, joints).tool_pose(joints)
    tolerance = 0.02 if robot.turns == TURNS else 0.15
    assert np.linalg.norm(turn_between(quaternion, np.array(robot.tool_wxyz))) < tolerance
    assert (position > robot.workspace_low_m).all()
    assert (position < robot.workspace_high_m).all()


@pytest.mark.parametrize("robot", ALL)
def test_arm_holds_still_at_home(robot: RobotModel) -> None:
    simulation = simulated(robot)
    start = simulation.arm.tcp_position_m
    for _ in range(10):
        simulation.arm.act(np.zeros(6))
        simulation.advance()
    assert np.linalg.norm(simulation.arm.tcp_position_m - start) < 0.002


@pytest.mark.parametrize("robot", ALL)
def test_tool_follows_a_move_in_the_world(robot: RobotModel) -> None:
    simulation = simulated(robot)
    arm, goal = simulation.arm, np.array([0.03, -0.04, 0.02])
    start = arm.tcp_position_m
    for _ in range(20):
        arm.command(start + goal, np.array(arm.setup.tool_wxyz))
        simulation.advance()
    assert np.allclose(arm.tcp_position_m - start, goal, atol=0.004)


@pytest.mark.parametrize("robot", ALL)
def test_gripper_closes_and_opens_by_its_opening(robot: RobotModel) -> None:
    simulation = simulated(robot)
    arm = simulation.arm
    assert arm.gripper_width_m == pytest.approx(robot.gripper.opening_m, abs=0.001)
    assert arm.is_open
    assert arm.gripper_command == 1.0
    for action, expected in ((-1.0, 0.0), (1.0, robot.gripper.opening_m)):
        arm.command_gripper(action)
        for _ in range(20):
            simulation.advance()
        assert arm.gripper_width_m == pytest.approx(expected, abs=0.006)
        assert arm.gripper_command == action


@pytest.mark.parametrize("robot", ALL)
def test_fingers_open_along_the_hands_y_axis(robot: RobotModel) -> None:
    simulation = simulated(robot)
    first, second = (simulation.data.geom(simulation.arm.setup.prefix + side[0]).xpos for side in robot.gripper.pads)
    apart = first - second
    assert abs(apart @ simulation.arm.finger_axis) / np.linalg.norm(apart) > 0.9
    assert abs(simulation.arm.finger_axis[1]) > 0.95


@pytest.mark.parametrize("robot", ALL)
def test_joints_stay_within_their_torques(robot: RobotModel) -> None:
    simulation = simulated(robot)
    arm, model = simulation.arm, simulation.model
    joints = [model.joint(arm.setup.prefix + name) for name in robot.joints]
    dofs, most = [joint.dofadr[0] for joint in joints], model.jnt_actfrcrange[[joint.id for joint in joints], 1]
    assert (most > 0).all()
    for step in range(10):
        arm.act(np.array([1.0, -1.0 if step % 2 else 1.0, 1.0, 0.0, 0.0, 0.0]))
        simulation.advance()
        assert (np.abs(simulation.data.qfrc_actuator[dofs]) <= most + 1e-6).all()


def test_so101_has_the_forward_kinematics_of_its_description() -> None:
    """Wrist roll axis at zero and the shoulder's height are those of `so101_new_calib`."""
    model = SO101.spec().compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    anchors = {name: data.joint(name).xanchor for name in SO101.joints}
    assert np.allclose(anchors["shoulder_lift"], (0.0692345, -0.018278, 0.11660), atol=2e-4)
    assert np.allclose(anchors["elbow_flex"], (0.0972345, -0.018278, 0.22917), atol=2e-4)
    assert np.allclose(anchors["wrist_roll"], (0.2932345, -0.000178, 0.23437), atol=2e-4)
    assert np.allclose(data.joint("wrist_roll").xaxis, (-1, 0, 0), atol=1e-3)
    assert np.allclose(data.joint("shoulder_pan").xaxis, (0, 0, -1), atol=1e-3)


@pytest.mark.parametrize(
    ("name", "joints", "expected_m"),
    [
        ("ur5e", (0, -np.pi / 2, 0, -np.pi / 2, 0, 0), (0.0, 0.234, 1.0794)),
        ("xarm7", (0,) * 7, (0.206, 0.0, 0.1205)),
        ("gen3", (0,) * 7, (0.0, -0.0246, 1.1872)),
    ],
)
def test_flange_is_where_the_makers_drawings_have_it(
    name: str, joints: tuple[float, ...], expected_m: tuple[float, float, float]
) -> None:
    robot = ROBOTS[name]
    model = robot.spec().compile()
    data = mujoco.MjData(model)
    for joint, position in zip(robot.joints, joints, strict=True):
        data.joint(joint).qpos[0] = position
    mujoco.mj_kinematics(model, data)
    flange = np.linalg.norm(data.body("hand").xpos)
    assert flange == pytest.approx(np.linalg.norm(expected_m), abs=0.012)


def test_arm_without_sensor_has_no_wrench() -> None:
    model = SO101.spec().compile()
    assert model.nsensor == 0
    assert PANDA.spec().compile().nsensor == 2


def test_robot_with_too_few_home_joints_is_refused() -> None:
    with pytest.raises(HilserlError, match="home_joints_rad has 2 numbers"):
        replace(PANDA, home_joints_rad=(0.0, 0.0))


def test_robot_that_takes_positions_without_servos_is_refused() -> None:
    with pytest.raises(HilserlError, match="servos if, and only if, it takes positions"):
        replace(PANDA, control="position")


def test_drawings_have_no_meshes() -> None:
    assert all(robot.spec().compile().nmesh == 0 for robot in ROBOTS.values())
