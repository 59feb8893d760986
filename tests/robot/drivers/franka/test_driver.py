"""The Franka arm on a simulated pylibfranka, a tick at a time."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load, Mode
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.drivers.franka.driver import JOINTS, MAX_TORQUE_STEP_NM
from tests.support.arms import FrankaBench
from tests.support.franka_rig import franka_library
from tests.support.robot_rig import HOME

FAR = np.array([0.58, 0.28, 0.1, 1, 0, 0, 0])


@pytest.fixture
def library() -> Iterator[Any]:
    with franka_library(paced=False) as module:
        yield module


@pytest.fixture
def bench(library: Any) -> FrankaBench:
    del library
    return FrankaBench()


def test_franka_arm_starts_where_it_is_and_stays(bench: FrankaBench) -> None:
    assert bench.arm.mode == Mode.IMPEDANCE
    assert bench.robot.collision == ([20.0] * 7, [20.0] * 7, [25.0] * 6, [25.0] * 6)
    bench.run(0.5)
    assert np.allclose(bench.arm.pose, HOME, atol=1e-6)
    assert np.abs(bench.sent).max() < 1e-6


def test_franka_arm_bounds_torques_and_their_changes(bench: FrankaBench) -> None:
    rng = np.random.default_rng(0)
    bench.arm.set_compliance(Compliance().changed({"translational_stiffness": 6000, "translational_clip_x": 0.1}))
    for _ in range(40):
        bench.arm.command(np.array([*rng.uniform(-1, 1, 3), *HOME[3:]]))
        bench.run(float(rng.uniform(0.01, 0.2)))
    bench.arm.halt("enough")
    bench.run(0.3)
    sent = np.array(bench.sent)
    assert np.isfinite(sent).all()
    assert (np.abs(sent) <= JOINTS.torque_Nm).all()
    steps = np.abs(np.diff(sent, axis=0))
    assert steps.max() <= MAX_TORQUE_STEP_NM + 1e-9
    assert steps.max() > 0.9, "the limit was needed"
    assert bench.arm.mode == Mode.HALTED
    assert bench.robot.errors == ""


def test_franka_arm_follows_a_commanded_pose(bench: FrankaBench) -> None:
    goal = np.array([0.5, -0.15, 0.2, np.cos(0.1), np.sin(0.1), 0, 0])
    bench.drive(goal, 2.5)
    assert np.allclose(bench.arm.pose[:3], goal[:3], atol=0.003)
    assert abs(bench.arm.pose[3:] @ goal[3:]) > 0.9999


def test_franka_arm_yields_to_a_push_and_measures_it(bench: FrankaBench) -> None:
    sim = bench.robot.sim
    sim.data.xfrc_applied[sim.model.body("robot/hand").id, :3] = (0.0, 30.0, 0.0)
    bench.run(1.5)
    assert bench.arm.pose[1] == pytest.approx(0.01, abs=0.001)
    assert bench.arm.measurements()["force"] == pytest.approx([0, -30, 0], abs=0.5), "in the tool's frame"


def test_franka_arm_of_a_silent_client_stands_after_200_ticks(bench: FrankaBench) -> None:
    for _ in range(4):
        bench.run(0.05)
        bench.arm.command(FAR)
    bench.run(0.1)
    assert np.linalg.norm(bench.arm.velocity[:3]) > 0.3
    bench.run(0.1)
    stood = bench.arm.pose
    assert np.linalg.norm(bench.arm.velocity[:3]) < 0.05
    bench.run(0.5)
    assert np.linalg.norm(bench.arm.pose[:3] - stood[:3]) < 0.005
    assert bench.arm.limiter.watchdog_holds == 1


def test_franka_arm_stays_halted_after_a_reflex_until_it_recovers(bench: FrankaBench) -> None:
    bench.drive(FAR, 0.3)
    bench.robot.errors = "cartesian_reflex"
    bench.run(0.2)
    arm = bench.arm
    assert arm.mode == Mode.HALTED
    assert '["cartesian_reflex"]' in arm.why_halted()
    assert "\n" not in arm.why_halted()
    assert not bench.robot.controlled
    stood, then_s = arm.q.copy(), arm.now_s
    bench.run(0.1)
    assert arm.now_s > then_s, "measuring goes on"
    for act in (lambda: arm.command(FAR), arm.joint_reset, arm.start_impedance, lambda: arm.command_gripper("open")):
        with pytest.raises(ArmStateError, match="recover"):
            act()
    bench.robot.stop_button = True
    with pytest.raises(ArmStateError, match="user stop pressed"):
        arm.recover()
    assert arm.mode == Mode.HALTED
    bench.robot.stop_button = False
    arm.recover()
    assert arm.mode == Mode.IMPEDANCE
    bench.run(0.5)
    assert np.allclose(arm.q, stood, atol=0.002)
    bench.drive(np.array(HOME), 2.0)
    assert np.allclose(arm.pose[:3], HOME[:3], atol=0.003)


def test_franka_arm_starts_halted_if_the_robot_takes_no_torques(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    original = library.Robot.__init__

    def stopped(self: Any, *given: Any) -> None:
        original(self, *given)
        self.stop_button = True

    monkeypatch.setattr(library.Robot, "__init__", stopped)
    bench = FrankaBench()
    assert bench.arm.mode == Mode.HALTED
    assert "UserStopped" in bench.arm.why_halted()
    bench.run(0.01)
    bench.robot.stop_button = False
    bench.arm.recover()
    bench.run(0.01)
    assert bench.arm.mode == Mode.IMPEDANCE


def test_franka_arm_holds_its_joints_while_halted(bench: FrankaBench) -> None:
    bench.drive(FAR, 0.3)
    bench.arm.halt("a hand in the way")
    bench.run(0.5)
    stood = bench.arm.q.copy()
    assert bench.robot.controlled
    assert np.abs(bench.arm.dq).max() < 0.05
    bench.run(0.5)
    assert np.allclose(bench.arm.q, stood, atol=0.002)
    bench.arm.recover()
    bench.run(0.3)
    assert np.allclose(bench.arm.q, stood, atol=0.005)


def test_franka_arm_joint_reset_ends_at_its_posture(library: Any) -> None:
    del library
    posture = (0.1, -0.3, 0.0, -2.4, 0.0, 2.1, 0.8)
    bench = FrankaBench(reset_joints_rad=posture)
    bench.arm.joint_reset()
    bench.run(0.1)
    with pytest.raises(ArmStateError, match="reset posture"):
        bench.arm.command(FAR)
    bench.run(2.0)
    assert bench.arm.mode == Mode.IMPEDANCE
    assert np.allclose(bench.arm.q, posture, atol=0.01)
    with pytest.raises(HilserlError, match="between"):
        FrankaBench(reset_joints_rad=(0.0,) * 7)


def test_franka_arm_takes_a_load_only_while_it_stands(bench: FrankaBench) -> None:
    load = Load(0.3, (0.0, 0.0, 0.05), (0.001,) * 9)
    bench.drive(FAR, 0.3)
    with pytest.raises(ArmStateError, match="moving"):
        bench.arm.set_load(load)
    assert bench.robot.load == ()
    bench.run(1.0)
    before = bench.arm.pose
    bench.arm.set_load(load)
    assert bench.robot.load == (0.3, 0.0, 0.0, 0.05, *(0.001,) * 9)
    bench.run(0.5)
    assert bench.arm.mode == Mode.IMPEDANCE
    assert np.allclose(bench.arm.pose, before, atol=0.002)


def test_franka_arm_counts_missed_states(bench: FrankaBench) -> None:
    bench.run(0.01)
    bench.robot.ticks += 3
    bench.run(0.01)
    assert bench.arm.connection.missed == 3


def test_franka_arm_stands_after_close(bench: FrankaBench) -> None:
    bench.drive(FAR, 0.3)
    assert np.abs(bench.arm.dq).max() > 0.1
    bench.arm.close()
    assert not bench.robot.controlled
    assert bench.robot.errors == "", "the robot did not stop it"
    bench.arm.close()


def test_franka_arm_raises_without_a_robot(bench: FrankaBench) -> None:
    bench.robot.gone = True
    with pytest.raises(HilserlError, match=r"172\.16\.0\.2 is lost: .*Timeout"):
        bench.arm.tick()
    bench.arm.close()
    with pytest.raises(HilserlError, match=r"192\.0\.2\.1 cannot be controlled: .*refused"):
        FrankaBench(robot_ip="192.0.2.1")


def test_franka_arm_never_sends_torques_that_are_not_finite(bench: FrankaBench) -> None:
    bench.arm._posture = np.full(7, np.nan)
    with pytest.raises(HilserlError, match="not finite"):
        bench.run(0.01)
    assert np.isfinite(bench.robot.commanded).all()
