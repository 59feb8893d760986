"""The parts of the robot side that need no process and no socket; time is counted in ticks."""

import multiprocessing

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hilserl.address import Address
from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, GripperKind, LostError, Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.impedance import Compliance, ImpedanceLaw, pose_error
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import angle_rad, euler_xyz_rad, rotation_matrix, to_wxyz, to_xyzw, turned_towards
from hilserl.robot.control.shared_state import SharedState
from hilserl.robot.drivers.sim.driver import TICK_S, SimArm
from hilserl.robot.http.lease import HeldError, Lease
from hilserl.robot.http.server import check_listening
from hilserl.sim.panda import HOME_JOINTS_RAD
from hilserl.tasks import make_env
from hilserl.tasks.pick_cube import PickCube
from tests.support.robot_rig import HOME

STILL = np.zeros(3)


def pose_at(x: float, y: float = 0.0, z: float = 0.3, quaternion: tuple[float, ...] = (1, 0, 0, 0)) -> np.ndarray:
    return np.array([x, y, z, *quaternion], dtype=float)


def sim_arm(gripper: GripperKind = "franka", limits: Limits | None = None, **more: tuple[float, ...]) -> SimArm:
    joints = more.get("reset_joints_rad", HOME_JOINTS_RAD)
    return SimArm(PickCube(), Box(), limits or Limits(), gripper, joints)


def run(arm: SimArm, seconds: float) -> None:
    for _ in range(round(seconds / TICK_S)):
        arm.tick()


def test_rotations_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    for quaternion, other in zip(Rotation.random(50, rng).as_quat(), Rotation.random(50, rng).as_quat(), strict=True):
        a, b = Rotation.from_quat(quaternion), Rotation.from_quat(other)
        assert np.allclose(rotation_matrix(quaternion), a.as_matrix())
        assert np.allclose(euler_xyz_rad(quaternion), a.as_euler("xyz"))
        assert np.isclose(angle_rad(quaternion, other), (b * a.inv()).magnitude())
        part = Rotation.from_quat(turned_towards(quaternion, other, 0.3))
        assert np.isclose((part * a.inv()).magnitude(), min(0.3, (b * a.inv()).magnitude()))
        assert np.allclose(to_xyzw(to_wxyz(quaternion)), quaternion)
        # What the controller sees: the vector part of the turn from the set point, in the base frame.
        error = pose_error(np.append(STILL, quaternion), np.append(STILL, other))[3:]
        turn = (a * b.inv()).as_quat()
        assert np.allclose(error, turn[:3] * (1 if turn[3] >= 0 else -1))
    upright = Rotation.from_euler("xyz", [0.3, np.pi / 2, 0.0]).as_quat()
    assert np.allclose(
        Rotation.from_euler("xyz", euler_xyz_rad(upright)).as_matrix(), rotation_matrix(upright), atol=1e-6
    )


def test_the_spring_is_clipped_before_it_is_multiplied() -> None:
    """By hand: beyond the set point along +x the clip is `clip_x`, short of it `clip_neg_x`."""
    gains = Compliance(translational_stiffness=2000.0, translational_clip_x=0.0075, translational_clip_neg_x=0.002)
    law = ImpedanceLaw(gains)
    assert np.allclose(law.wrench(pose_at(0.5), pose_at(0.4))[:3], [-15.0, 0, 0])
    assert np.allclose(law.wrench(pose_at(0.4), pose_at(0.5))[:3], [4.0, 0, 0])
    assert np.allclose(law.wrench(pose_at(0.401), pose_at(0.4))[:3], [-2.0, 0, 0])


def test_the_integral_sums_over_ticks_up_to_its_limit_and_can_be_emptied() -> None:
    law = ImpedanceLaw(Compliance(translational_stiffness=0.0, translational_Ki=10.0))
    forces = [law.wrench(pose_at(0.41), pose_at(0.4))[0] for _ in range(20)]
    assert np.allclose(forces[:3], [-0.1, -0.2, -0.3])
    assert np.isclose(forces[-1], -1.0), "0.1 m is the most it sums up"
    law.reset_integral()
    assert np.isclose(law.wrench(pose_at(0.41), pose_at(0.4))[0], -0.1)


def test_compliance_names_and_ranges() -> None:
    assert len(Compliance().as_dict()) == 18
    assert Compliance().changed({"rotational_clip_neg_z": 0.5}).rotational_clip_neg_z == 0.1
    with pytest.raises(HilserlError, match="translational_stiffness"):
        Compliance().changed({"translation_stiffness": 1.0})
    for bad in (-1.0, np.nan, np.inf):
        with pytest.raises(HilserlError, match="0 to 400"):
            Compliance().changed({"translational_damping": bad})


def test_no_stream_of_commands_is_faster_than_the_limits() -> None:
    box, limits = Box(), Limits(watchdog_s=10.0)
    rng = np.random.default_rng(1)
    limiter = CommandLimiter(box, limits, pose_at(0.4), 0.0)
    way, seen = [0.0], [limiter.set_point]
    for tick in range(4000):
        if tick % int(rng.integers(1, 60)) == 0:
            limiter.command(np.append(rng.uniform(-2, 2, 3), Rotation.random(rng=rng).as_quat()), tick * TICK_S)
        seen.append(limiter.update(seen[-1], STILL, tick * TICK_S))
        assert box.clip(seen[-1])[1] is False
        assert np.isclose(np.linalg.norm(seen[-1][3:]), 1.0)
        way.append(way[-1] + float(np.linalg.norm(seen[-1][:3] - seen[-2][:3])))
        assert angle_rad(seen[-1][3:], seen[-2][3:]) <= limits.max_turn_rad + 1e-9
    for ticks in (1, 10, 100, 1000):
        fastest = np.max(np.array(way[ticks:]) - way[:-ticks])
        assert fastest <= limits.max_step_m + limits.max_speed_m_per_s * ticks * TICK_S + 1e-9
    assert way[-1] > 1.0


def test_short_steps_pass_at_once_and_far_ones_are_walked() -> None:
    limits = Limits()
    limiter = CommandLimiter(Box(), limits, pose_at(0.4), 0.0)
    limiter.update(pose_at(0.4), STILL, 0.0)
    limiter.command(pose_at(0.46), 0.0)
    assert np.allclose(limiter.update(pose_at(0.4), STILL, 0.001), pose_at(0.46))
    limiter.command(pose_at(0.46, 0.3), 0.001)
    assert np.allclose(limiter.update(pose_at(0.4), STILL, 0.002), pose_at(0.46, limits.max_speed_m_per_s * 0.001))


def test_ten_hertz_at_full_action_is_not_slowed() -> None:
    """The simulated tasks' largest step along all three axes at once, ten times a second."""
    limiter = CommandLimiter(Box(), Limits(), pose_at(0.21, -0.29, 0.01), 0.0)
    for step in range(8):
        goal = np.array([0.21, -0.29, 0.01]) + 0.035 * (step + 1)
        limiter.command(pose_at(*goal), step * 0.1)
        assert np.allclose(limiter.update(pose_at(*goal), STILL, step * 0.1 + TICK_S)[:3], goal)


@pytest.mark.parametrize("gains", [{}, {"translational_stiffness": 2000, "translational_damping": 89}])
@pytest.mark.parametrize("goal", [(0.58, 0.25, 0.1), (0.435, 0.0, 0.3), (0.4, 0.0, 0.02)])
def test_a_silent_client_s_arm_stands_after_200_ticks(gains: dict[str, float], goal: tuple[float, ...]) -> None:
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


def test_the_arm_follows_and_turns_to_what_it_is_told() -> None:
    arm = sim_arm()
    goal = pose_at(0.5, -0.2, 0.15, tuple(Rotation.from_euler("xyz", [np.pi - 0.2, 0.1, 0.5]).as_quat()))
    for _ in range(25):
        arm.command(goal)
        run(arm, 0.1)
    assert np.allclose(arm.pose[:3], goal[:3], atol=0.002)
    assert angle_rad(arm.pose[3:], goal[3:]) < 0.01


def test_the_impedance_is_the_task_s_own() -> None:
    """A push of 30 N moves the tool as far as the simulated tasks' stiffness lets it: 1 cm."""
    arm = sim_arm()
    data, hand = arm.sim.data, arm.sim.model.body("panda/hand").id
    data.xfrc_applied[hand, :3] = (0.0, 30.0, 0.0)
    run(arm, 1.0)
    assert arm.pose[1] == pytest.approx(0.01, abs=0.001)
    force = arm.measurements()["force"]
    assert force == pytest.approx([0.0, -30.0, 0.0], abs=0.5), "in the tool's frame, whose y is the world's -y"


def test_a_load_is_carried_where_it_hangs() -> None:
    arm = sim_arm()
    arm.sim.data.xfrc_applied[arm.sim.model.body("panda/hand").id, 2] = -0.5 * 9.81
    from hilserl.robot.control.backend import Load

    arm.set_load(Load(0.5, (0.0, 0.0, 0.03), (0.0,) * 9))
    run(arm, 1.0)
    assert arm.pose[2] == pytest.approx(0.3, abs=0.0005)
    assert np.abs(arm.measurements()["force"]).max() < 0.2


@pytest.mark.parametrize("kind", ["franka", "robotiq", "none"])
def test_each_gripper_means_its_own_numbers(kind: GripperKind) -> None:
    arm = sim_arm(kind)

    def after(seconds: float = 1.0) -> float:
        run(arm, seconds)
        return arm.gripper.position

    arm.move_gripper(102)
    assert after() == pytest.approx({"franka": 0.5, "robotiq": 0.6, "none": 0.0}[kind], abs=0.02)
    arm.command_gripper("close")
    assert after() == pytest.approx(0.0, abs=0.02)
    arm.command_gripper("open")
    assert after() == pytest.approx(0.0 if kind == "none" else 1.0, abs=0.02)
    if kind != "none":
        arm.command_gripper("close_slow")
        assert after(0.4) == pytest.approx(0.55, abs=0.1), "at 0.1 m/s, the gap being 0.08 m"


def test_a_stopped_arm_refuses_and_holds() -> None:
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


def test_a_joint_reset_ends_at_its_posture() -> None:
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


def test_a_scene_begins_as_the_environment_s_episode_does() -> None:
    arm, env = sim_arm(), make_env("pick_cube")
    env.reset(seed=7)
    run(arm, 0.1)
    arm.reset_scene(7, home=True)
    assert np.array_equal(arm.sim.data.qpos, env.simulation.data.qpos)
    truth = arm.truth()
    assert truth["success"] is False
    assert np.allclose(truth["expert_action"], env.supervision.expert_action())
    arm.command(pose_at(0.45))
    run(arm, 0.1)
    before = arm.q.copy()
    arm.reset_scene(8, home=False)
    run(arm, 0.001)
    assert np.allclose(arm.q, before, atol=0.002)
    env.close()


def test_a_diverged_arm_says_so() -> None:
    arm = sim_arm()
    arm.sim.data.qvel[0] = np.nan
    with pytest.raises(HilserlError, match="diverged"):
        run(arm, 0.01)


def test_a_box_and_limits_must_make_sense() -> None:
    with pytest.raises(HilserlError, match="empty"):
        Box((0.5, 0.0, 0.0), (0.4, 1.0, 1.0))
    for bad in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(HilserlError, match="max_speed_m_per_s"):
            Limits(max_speed_m_per_s=bad)


def test_a_lease_is_one_client_s_until_it_is_silent() -> None:
    now = 0.0
    lease = Lease(5.0, lambda: now)
    lease.claim("a")
    now = 4.0
    lease.claim("a")
    with pytest.raises(HeldError, match="a controls"):
        lease.claim("b")
    now = 9.5
    assert lease.holder is None
    lease.claim("b")
    with pytest.raises(HeldError, match="b controls"):
        lease.release("a")
    lease.release("b")
    lease.claim("a")


def test_nobody_listens_outside_without_a_token() -> None:
    check_listening(Address("127.0.0.1", 5000), None)
    check_listening(Address("0.0.0.0", 5000), "secret")
    for host in ("0.0.0.0", "192.168.1.2", "robot.example.org", "::"):
        with pytest.raises(HilserlError, match="HILSERL_TOKEN"):
            check_listening(Address(host, 5000), None)


def test_a_board_shows_what_was_written_last_or_that_nothing_comes() -> None:
    layout = {"a": 1, "b": 3}
    memory = SharedState.memory(multiprocessing.get_context("spawn"), layout)
    writer, reader = SharedState(memory, layout), SharedState(memory, layout)
    with pytest.raises(LostError, match="silent"):
        reader.read()
    for value in (1.0, 2.0):
        writer.write({"a": value, "b": np.full(3, -value)})
        seen = reader.read()
        assert seen["a"] == value
        assert (seen["b"] == -value).all()
    np.frombuffer(memory)[0] += 1
    with pytest.raises(LostError, match="while it was writing"):
        reader.read()


def test_the_home_of_these_tests_is_the_arm_s(shared_env: object) -> None:
    del shared_env
    assert np.allclose(sim_arm().pose, HOME, atol=1e-6)
