"""Driver of LeRobot's arms, on a simulated SO-101 with delay, backlash and soft servos."""

from collections.abc import Iterator

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load, Mode
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.drivers.lerobot.kinematics import MeasuredArm
from hilserl.sim.robot_models.so101 import SO101
from tests.support.lerobot_bench import So101Bench, importable_lerobot

NEAR_M = 0.004
"""Error that backlash of 1 degree and steps of 0.09 degrees leave at a reach of 0.25 m."""
STANDING_M_PER_S = 0.02


@pytest.fixture(scope="module", autouse=True)
def lerobot() -> Iterator[None]:
    with importable_lerobot():
        yield


@pytest.fixture
def bench() -> So101Bench:
    return So101Bench()


def test_lerobot_arm_starts_where_it_is_and_stays(bench: So101Bench) -> None:
    before = bench.arm.pose
    bench.run(1.0)
    assert bench.arm.mode == Mode.IMPEDANCE
    assert np.allclose(bench.arm.q, SO101.home_joints_rad, atol=0.02)
    assert np.linalg.norm(bench.arm.pose[:3] - before[:3]) < NEAR_M


@pytest.mark.parametrize("words", [(), ("robot.use_degrees=false",), ("robot.max_relative_target=4.0",)])
def test_lerobot_arm_follows_a_commanded_pose(words: tuple[str, ...]) -> None:
    """In degrees, in percent of the range, and within LeRobot's own limit of a goal."""
    bench = So101Bench(*words)
    for way in ((0.03, 0.04, -0.05), (0.0, -0.08, 0.02)):
        goal = bench.beside_home(*way)
        bench.drive(goal, 2.0)
        assert np.linalg.norm(bench.arm.pose[:3] - goal[:3]) < NEAR_M
    assert (bench.bus.clipped > 0) == any("max_relative_target" in word for word in words)


def test_lerobot_arm_does_not_sink_while_it_follows_the_measured_pose(bench: So101Bench) -> None:
    """A policy's step of zero keeps the arm where it is, whatever the servos' error under its weight."""
    before = bench.arm.pose
    for _ in range(50):
        bench.drive(bench.arm.pose, 0.1)
    assert np.linalg.norm(bench.arm.pose[:3] - before[:3]) < NEAR_M


def test_lerobot_arm_of_a_silent_client_stands(bench: So101Bench) -> None:
    bench.drive(bench.beside_home(0.04, 0.1, -0.06), 0.2)
    bench.run(0.5)
    stood = bench.arm.pose
    bench.run(0.5)
    assert bench.arm.limiter.watchdog_holds == 1
    assert np.linalg.norm(bench.arm.velocity[:3]) < STANDING_M_PER_S
    assert np.linalg.norm(bench.arm.pose[:3] - stood[:3]) < NEAR_M


def test_lerobot_arm_stands_while_halted_and_keeps_its_goals_near(bench: So101Bench) -> None:
    bench.arm.command(bench.beside_home(0.04, 0.1, -0.06))
    bench.run(0.1)
    bench.arm.halt("a hand")
    bench.run(0.3)
    stood = bench.arm.q
    bench.run(0.5)
    assert np.allclose(bench.arm.q, stood, atol=0.01)
    with pytest.raises(ArmStateError, match="a hand"):
        bench.arm.command(bench.arm.pose)
    bench.arm.recover()
    bench.run(0.5)
    assert np.allclose(bench.arm.q, stood, atol=0.02)


def test_lerobot_arm_halts_when_its_bus_is_lost_and_recovers_once_it_answers(bench: So101Bench) -> None:
    bench.arm.command(bench.beside_home(0.02, 0.0, 0.0))
    bench.run(0.1)
    bench.link.failing = "ConnectionError: There is no status packet!"
    bench.run(0.2)
    assert bench.arm.mode == Mode.IMPEDANCE, "a few failed cycles are no loss"
    sent = len(bench.link.goals)
    bench.run(0.3)
    assert bench.arm.mode == Mode.HALTED
    assert "no status packet" in bench.arm.why_halted()
    assert len(bench.link.goals) == sent, "a goal for an arm that is not measured would be a guess"
    with pytest.raises(ArmStateError, match="no status packet"):
        bench.arm.recover()
    assert bench.arm.mode == Mode.HALTED
    bench.link.failing = ""
    bench.run(0.1)
    assert bench.arm.mode == Mode.HALTED, "only a client ends a halt"
    assert bench.link.goals[-1]["elbow_flex.pos"] == pytest.approx(np.degrees(bench.arm.q[2]), abs=1.0)
    before = bench.arm.q
    bench.arm.recover()
    bench.run(0.5)
    assert bench.arm.mode == Mode.IMPEDANCE
    assert np.allclose(bench.arm.q, before, atol=0.02)


def test_lerobot_arm_halts_for_good_when_lerobots_process_ends(bench: So101Bench) -> None:
    bench.link.kill()
    bench.run(0.1)
    assert bench.arm.mode == Mode.HALTED
    assert "process has ended" in bench.arm.why_halted()
    with pytest.raises(ArmStateError, match="restart the server"):
        bench.arm.recover()


def test_lerobot_arm_has_only_what_it_senses(bench: So101Bench) -> None:
    measured = bench.arm.measurements()
    assert bench.arm.wrench is None
    assert not {"force", "torque"} & measured.keys()
    assert measured["q"].shape == (5,)
    assert np.allclose(bench.arm.jacobian @ bench.arm.dq, bench.arm.velocity)


def test_lerobot_arm_refuses_an_impedance_and_a_load(bench: So101Bench) -> None:
    bench.arm.set_compliance(Compliance())
    with pytest.raises(ArmStateError, match="take positions"):
        bench.arm.set_compliance(Compliance(translational_stiffness=500))
    with pytest.raises(ArmStateError, match="take positions"):
        bench.arm.set_load(Load(0.1, (0.0, 0.0, 0.0), (0.0,) * 9))


def test_lerobot_arm_joint_reset_ends_at_its_posture(bench: So101Bench) -> None:
    bench.drive(bench.beside_home(0.03, 0.08, -0.05), 1.0)
    bench.arm.joint_reset()
    bench.run(0.1)
    assert bench.arm.mode == Mode.RESETTING
    bench.run(4.0)
    assert bench.arm.mode == Mode.IMPEDANCE
    assert np.allclose(bench.arm.q, SO101.home_joints_rad, atol=0.03)


def test_lerobot_arm_keeps_its_joints_within_their_limits() -> None:
    """The limiter's box lets the tool go where the joints cannot."""
    bench = So101Bench()
    low, high = np.degrees(MeasuredArm(SO101).ranges_rad).T
    for way in ((-0.2, 0.0, 0.2), (0.3, 0.3, 0.3), (0.3, -0.3, -0.3)):
        bench.drive(bench.beside_home(*way), 1.0)
    goals = np.array([list(goal.values())[:5] for goal in bench.link.goals])
    assert (goals >= low - 0.01).all()
    assert (goals <= high + 0.01).all()


def test_lerobot_arm_moves_its_jaw_to_its_ends(bench: So101Bench) -> None:
    assert bench.arm.gripper.position == pytest.approx(1.0, abs=0.02)
    bench.arm.command_gripper("close")
    bench.run(1.0)
    assert bench.arm.gripper.position < 0.1
    assert bench.link.goals[-1]["gripper.pos"] == 0.0
    bench.arm.move_gripper(255)
    bench.run(1.0)
    assert bench.link.goals[-1]["gripper.pos"] == 100.0
    bench.arm.command_gripper("open")
    bench.run(1.0)
    assert bench.link.goals[-1]["gripper.pos"] == pytest.approx(69.0, abs=0.1), "as far as in the simulation"


def test_lerobot_arm_names_a_posture_that_does_not_fit() -> None:
    with pytest.raises(HilserlError, match=r"reset posture \[9.0.*shoulder_pan"):
        So101Bench(reset_joints_rad=(9.0,) * 5)
