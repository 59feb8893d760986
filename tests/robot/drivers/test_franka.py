"""The Franka arm on a simulated pylibfranka, a tick at a time, and that pylibfranka beside the real one."""

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Load, Mode
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.franka.driver import JOINTS, MAX_TORQUE_STEP_NM, FrankaArm
from hilserl.robot.drivers.franka.hand import HandClient
from hilserl.sim.panda import HOME_JOINTS_RAD
from tests.support.franka_rig import franka_backend, franka_library
from tests.support.loopback import until
from tests.support.robot_rig import HOME, serving

FAR = np.array([0.58, 0.28, 0.1, 1, 0, 0, 0])
COLLISION = ((20.0,) * 7, (25.0,) * 6)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with franka_library() as module:
        monkeypatch.setattr(module, "PACED", False)
        yield module


class Bench:
    """An arm, its robot, and every torque the robot was sent."""

    def __init__(self, **more: Any) -> None:
        given = {"robot_ip": "172.16.0.2", "reset_joints_rad": HOME_JOINTS_RAD, "hand": None, **more}
        self.arm = FrankaArm(box=Box(), limits=Limits(), collision=COLLISION, **given)
        self.robot = self.arm.connection.robot
        self.sent: list[list[float]] = []

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 1000)):
            self.arm.tick()
            self.sent.append(list(self.robot.commanded))

    def drive(self, goal: np.ndarray, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.arm.command(goal)
            self.run(0.1)


@pytest.fixture
def bench(library: Any) -> Bench:
    del library
    return Bench()


def test_it_starts_where_it_is_and_stays(bench: Bench) -> None:
    assert bench.arm.mode == Mode.IMPEDANCE
    assert bench.robot.collision == ([20.0] * 7, [20.0] * 7, [25.0] * 6, [25.0] * 6)
    bench.run(0.5)
    assert np.allclose(bench.arm.pose, HOME, atol=1e-6)
    assert np.abs(bench.sent).max() < 1e-6


def test_torques_are_finite_bounded_and_change_no_faster_than_the_robot_takes(bench: Bench) -> None:
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
    assert steps.max() > 0.9, "and the limit was needed"
    assert bench.arm.mode == Mode.HALTED
    assert bench.robot.errors == ""


def test_it_goes_where_it_is_told_and_turns(bench: Bench) -> None:
    goal = np.array([0.5, -0.15, 0.2, np.cos(0.1), np.sin(0.1), 0, 0])
    bench.drive(goal, 2.5)
    assert np.allclose(bench.arm.pose[:3], goal[:3], atol=0.003)
    assert abs(bench.arm.pose[3:] @ goal[3:]) > 0.9999


def test_a_push_meets_the_stiffness_and_is_measured_as_the_world_s_on_the_tool(bench: Bench) -> None:
    sim = bench.robot.sim
    sim.data.xfrc_applied[sim.model.body("panda/hand").id, :3] = (0.0, 30.0, 0.0)
    bench.run(1.5)
    assert bench.arm.pose[1] == pytest.approx(0.01, abs=0.001)
    assert bench.arm.measurements()["force"] == pytest.approx([0, -30, 0], abs=0.5), "in the tool's frame"


def test_a_silent_client_s_arm_stands_after_200_ticks(bench: Bench) -> None:
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


def test_a_reflex_halts_says_why_and_lasts_until_somebody_recovers(bench: Bench) -> None:
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
    assert arm.now_s > then_s, "it goes on measuring"
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


def test_a_robot_that_takes_no_torques_starts_halted(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = library.Robot.__init__

    def stopped(self: Any, *given: Any) -> None:
        made(self, *given)
        self.stop_button = True

    monkeypatch.setattr(library.Robot, "__init__", stopped)
    bench = Bench()
    assert bench.arm.mode == Mode.HALTED
    assert "UserStopped" in bench.arm.why_halted()
    bench.run(0.01)
    bench.robot.stop_button = False
    bench.arm.recover()
    bench.run(0.01)
    assert bench.arm.mode == Mode.IMPEDANCE


def test_a_stop_holds_the_joints_under_control(bench: Bench) -> None:
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


def test_a_joint_reset_ends_at_its_posture(library: Any) -> None:
    del library
    posture = (0.1, -0.3, 0.0, -2.4, 0.0, 2.1, 0.8)
    bench = Bench(reset_joints_rad=posture)
    bench.arm.joint_reset()
    bench.run(0.1)
    with pytest.raises(ArmStateError, match="reset posture"):
        bench.arm.command(FAR)
    bench.run(2.0)
    assert bench.arm.mode == Mode.IMPEDANCE
    assert np.allclose(bench.arm.q, posture, atol=0.01)
    with pytest.raises(HilserlError, match="between"):
        Bench(reset_joints_rad=(0.0,) * 7)


def test_a_load_is_set_between_two_controls_and_only_while_the_arm_stands(bench: Bench) -> None:
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


def test_states_that_came_and_went_are_counted(bench: Bench) -> None:
    bench.run(0.01)
    bench.robot.ticks += 3
    bench.run(0.01)
    assert bench.arm.connection.missed == 3


def test_closing_leaves_the_arm_standing(bench: Bench) -> None:
    bench.drive(FAR, 0.3)
    assert np.abs(bench.arm.dq).max() > 0.1
    bench.arm.close()
    assert not bench.robot.controlled
    assert bench.robot.errors == "", "it was not stopped by the robot"
    bench.arm.close()


def test_a_robot_that_is_gone_or_was_never_there_is_an_error(bench: Bench) -> None:
    bench.robot.gone = True
    with pytest.raises(HilserlError, match=r"172\.16\.0\.2 is lost: .*Timeout"):
        bench.arm.tick()
    bench.arm.close()
    with pytest.raises(HilserlError, match=r"192\.0\.2\.1 cannot be controlled: .*refused"):
        Bench(robot_ip="192.0.2.1")


def test_torques_that_are_no_numbers_are_never_sent(bench: Bench) -> None:
    bench.arm._posture = np.full(7, np.nan)
    with pytest.raises(HilserlError, match="not finite"):
        bench.run(0.01)
    assert np.isfinite(bench.robot.commanded).all()


class Wire:
    """A line to nobody."""

    def __init__(self) -> None:
        self.said: list[bytes] = []

    def send_bytes(self, data: bytes) -> None:
        self.said.append(data)


def test_the_hand_is_asked_for_what_hil_serl_asks(library: Any) -> None:
    del library
    wire = Wire()
    bench = Bench(hand=HandClient(wire, [0.02, 0.08, 0.0]))  # pyright: ignore[reportArgumentType]
    for verb in ("activate", "open", "close", "close_slow", "reset"):
        bench.arm.command_gripper(verb)
    for position in (102.0, 255.0):
        bench.arm.move_gripper(position)
    assert [data.decode() for data in wire.said] == [
        '["move", 0.08, 0.3]',
        '["grasp", 0.01, 0.3, 130.0, 1.0, 1.0]',
        '["grasp", 0.01, 0.1, 130.0, 1.0, 1.0]',
        '["homing"]',
        '["move", 0.04, 0.3]',
        '["move", 0.08, 0.3]',
    ]
    assert bench.arm.measurements()["gripper"] == 0.25


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylibfranka", None)
    with pytest.raises(HilserlError, match=r"hilserl\[franka\]"):
        Bench()


def test_what_libfranka_cannot_do_is_refused_before_anything_starts() -> None:
    for more, why in (
        ({"gripper": "robotiq"}, "Available: franka, none"),
        ({"collision_force": (20.0, 20.0, 20.0, 25.0, 25.0, 0.0)}, "collision_force"),
        ({"robot_ip": "192.0.2.1"}, "No Franka hand answers at"),
        ({"robot_ip": "192.0.2.1", "gripper": "none"}, "cannot be controlled"),
    ):
        with pytest.raises(HilserlError, match=why), franka_backend(**more):
            pass


def test_fingers_that_move_keep_nothing_else_waiting() -> None:
    """Through the server: a slow closing takes 0.8 s; while it lasts the arm moves, ticks and takes orders."""
    with franka_backend() as backend, serving(backend) as rig:
        until(lambda: rig.state()["gripper_pos"] > 0.9, "open")
        rig.post("/close_gripper_slow")
        before = rig.get("/metrics").json
        while rig.state()["gripper_pos"] > 0.9:
            assert rig.post("/pose", {"arr": HOME}).status == 200
        after = rig.get("/metrics").json
        assert after["loop_ticks"] - before["loop_ticks"] > 300
        assert after["robot_command_success_rate"] == 1.0
        assert after["hand_refusals"] == 0
        assert {"robot_states_missed", "loop_busy_p99_ms"} <= after.keys()


USED = ("Robot", "ActiveControlBase", "Model", "Torques", "Gripper", "RealtimeConfig", "Duration")
STATES = {
    "RobotState": {"O_T_EE", "q", "dq", "tau_J_d", "K_F_ext_hat_K", "control_command_success_rate", "time"},
    "GripperState": {"width", "max_width"},
}
BEYOND = {"advance"}


def test_the_simulated_library_is_the_real_one_s_image(library: Any) -> None:
    """Same classes, methods and parameters; where they have names in the real one, the same names."""
    real = real_library()
    for name, kind in vars(library).items():
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == "pylibfranka":
            assert [base.__name__ for base in kind.__bases__] == [
                base.__name__ for base in getattr(real, name).__bases__
            ]
    for name in USED:
        ours, theirs = getattr(library, name), getattr(real, name)
        for method, function in vars(ours).items():
            if not inspect.isfunction(function) or (method.startswith("_") and method != "__init__"):
                continue
            if method in BEYOND or (method == "__init__" and name in ("ActiveControlBase", "Model", "Duration")):
                continue
            mine = [p.name for p in inspect.signature(function).parameters.values()][1:]
            assert mine in signatures(getattr(theirs, method)), f"{name}.{method}{mine}"
    assert {"kEnforce", "kIgnore"} <= set(dir(real.RealtimeConfig))
    torques = real.Torques([0.0] * 7)
    assert torques.motion_finished is False
    assert torques.tau_J == [0.0] * 7
    for name, fields in STATES.items():
        assert fields <= set(dir(getattr(real, name)))


def real_library() -> ModuleType:
    """Whatever is installed, beside the simulated one."""
    ours, path = sys.modules.pop("pylibfranka"), sys.path.pop(0)
    try:
        return pytest.importorskip("pylibfranka", exc_type=ImportError)
    finally:
        sys.modules["pylibfranka"] = ours
        sys.path.insert(0, path)


def signatures(function: Callable[..., Any]) -> list[list[str]]:
    """The parameters' names of each overload, from what pybind11 writes first in a docstring."""
    lines = re.findall(r"\w+\(self: [^\n]*\) -> ", function.__doc__ or "")
    return [re.findall(r"(?:, )(\w+): ", line) for line in lines]
