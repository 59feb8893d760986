"""The simulated arm, a tick at a time."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load, Mode
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.poses import angle_rad
from hilserl.tasks import make_sim_env
from tests.support.arms import pose_at, run, sim_arm
from tests.support.robot_rig import HOME


def test_sim_arm_starts_at_home() -> None:
    assert np.allclose(sim_arm().pose, HOME, atol=1e-6)


@pytest.mark.parametrize("gains", [{}, {"translational_stiffness": 2000, "translational_damping": 89}])
@pytest.mark.parametrize("goal", [(0.58, 0.25, 0.1), (0.435, 0.0, 0.3), (0.4, 0.0, 0.02)])
def test_sim_arm_of_a_silent_client_stands_after_200_ticks(
    gains: dict[str, float], goal: tuple[float, float, float]
) -> None:
    arm = sim_arm()
    arm.set_compliance(Compliance().changed(gains))
    for _ in range(4):
        run(arm, 0.05)
        arm.command(pose_at(*goal))
    run(arm, 0.2)
    stood = arm.pose.copy()
    assert np.linalg.norm(arm.velocity[:3]) < 0.05
    run(arm, 0.5)
    assert np.linalg.norm(arm.pose[:3] - stood[:3]) < 0.005
    assert arm.limiter.watchdog_holds == 1


def test_sim_arm_follows_a_commanded_pose() -> None:
    arm = sim_arm()
    goal = pose_at(0.5, -0.2, 0.15, tuple(Rotation.from_euler("xyz", [np.pi - 0.2, 0.1, 0.5]).as_quat()))
    for _ in range(25):
        arm.command(goal)
        run(arm, 0.1)
    assert np.allclose(arm.pose[:3], goal[:3], atol=0.002)
    assert angle_rad(arm.pose[3:], goal[3:]) < 0.01


def test_sim_arm_has_the_impedance_of_the_simulated_tasks() -> None:
    """A push of 30 N moves the tool as far as the simulated tasks' stiffness lets it: 1 cm."""
    arm = sim_arm()
    data, hand = arm.sim.data, arm.sim.model.body("robot/hand").id
    data.xfrc_applied[hand, :3] = (0.0, 30.0, 0.0)
    run(arm, 1.0)
    assert arm.pose[1] == pytest.approx(0.01, abs=0.001)
    force = arm.measurements()["force"]
    assert force == pytest.approx([0.0, -30.0, 0.0], abs=0.5), "in the tool's frame, whose y is the world's -y"


def test_sim_arm_compensates_a_load() -> None:
    arm = sim_arm()
    arm.sim.data.xfrc_applied[arm.sim.model.body("robot/hand").id, 2] = -0.5 * 9.81
    arm.set_load(Load(0.5, (0.0, 0.0, 0.03), (0.0,) * 9))
    run(arm, 1.0)
    assert arm.pose[2] == pytest.approx(0.3, abs=0.0005)
    assert np.abs(arm.measurements()["force"]).max() < 0.2


def test_sim_arm_holds_its_joints_while_halted() -> None:
    arm = sim_arm()
    arm.command(pose_at(0.46))
    run(arm, 0.05)
    arm.halt("a hand in the way")
    run(arm, 0.3)
    stood = arm.q.copy()
    for act in (lambda: arm.command(pose_at(0.4)), arm.joint_reset, arm.start_impedance, arm.stop_impedance):
        with pytest.raises(ArmStateError, match="recover"):
            act()
    run(arm, 0.3)
    assert np.allclose(arm.q, stood, atol=0.002)
    arm.recover()
    assert arm.mode == Mode.IMPEDANCE
    run(arm, 0.3)
    assert np.allclose(arm.q, stood, atol=0.01)


def test_sim_arm_joint_reset_ends_at_its_posture() -> None:
    posture = (0.1, -0.3, 0.0, -2.4, 0.0, 2.1, 0.8)
    arm = sim_arm(reset_joints_rad=posture)
    arm.joint_reset()
    for _ in range(5000):
        arm.tick()
        if arm.mode == Mode.IMPEDANCE:
            break
    assert np.allclose(arm.q, posture, atol=0.01)
    with pytest.raises(HilserlError, match="7 numbers"):
        sim_arm(reset_joints_rad=(0.0,) * 6)
    with pytest.raises(HilserlError, match="between"):
        sim_arm(reset_joints_rad=(9.0,) * 7)


def test_sim_arm_scene_begins_as_the_environment_s_episode() -> None:
    arm, env = sim_arm(), make_sim_env("pick_cube")
    env.reset(seed=7)
    run(arm, 0.1)
    arm.reset_scene(7, home=True)
    assert np.array_equal(arm.sim.data.qpos, env.simulation.data.qpos)
    truth = arm.truth()
    assert truth["success"] is False
    assert np.allclose(truth["expert_way"], env.supervision.expert_way())
    arm.command(pose_at(0.45))
    run(arm, 0.1)
    before = arm.q.copy()
    arm.reset_scene(8, home=False)
    run(arm, 0.001)
    assert np.allclose(arm.q, before, atol=0.002)
    env.close()


def test_sim_arm_raises_when_the_physics_diverges() -> None:
    arm = sim_arm()
    arm.sim.data.qvel[0] = np.nan
    with pytest.raises(HilserlError, match="diverged"):
        run(arm, 0.01)
