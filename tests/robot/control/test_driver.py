"""Command state machine that all arms share."""

from collections.abc import Callable

import numpy as np
import pytest
from hilserl_ros1.driver import RosArm
from typing_extensions import override

from hilserl.robot.control.backend import ArmStateError, GripperVerb, Load, Mode
from hilserl.robot.control.command_limiter import CommandLimiter
from hilserl.robot.control.driver import BaseArm, NoGripper
from hilserl.robot.control.impedance import Compliance
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.franka.driver import FrankaArm
from hilserl.robot.drivers.sim.driver import SimArm
from tests.support.arms import pose_at

MOTION_COMMANDS: dict[str, Callable[[BaseArm], None]] = {
    "command": lambda arm: arm.command(pose_at(0.45)),
    "command_gripper": lambda arm: arm.command_gripper("open"),
    "move_gripper": lambda arm: arm.move_gripper(100.0),
    "start_impedance": lambda arm: arm.start_impedance(),
    "stop_impedance": lambda arm: arm.stop_impedance(),
    "joint_reset": lambda arm: arm.joint_reset(),
}
"""Commands that may set the arm in motion."""


class RecordingGripper(NoGripper):
    """Gripper that keeps its commands."""

    def __init__(self) -> None:
        self.commands: list[GripperVerb | float] = []

    @override
    def do(self, verb: GripperVerb) -> None:
        self.commands.append(verb)

    @override
    def move(self, position: float) -> None:
        self.commands.append(position)


class RecordingArm(BaseArm):
    """Arm without hardware that records its hooks.

    With a `refusal` its hooks raise it.
    """

    def __init__(self) -> None:
        self.pose, self.velocity = pose_at(0.4), np.zeros(6)
        self.recorded_gripper = RecordingGripper()
        super().__init__(CommandLimiter(Box(), Limits(), self.pose, 0.0), self.recorded_gripper)
        self.hooks: list[str] = []
        self.refusal = ""

    def _record(self, hook: str) -> None:
        if self.refusal:
            raise ArmStateError(self.refusal)
        self.hooks.append(hook)

    def enter(self, mode: Mode) -> None:
        """Bring the arm into a mode by its own commands."""
        self.start_impedance()
        if mode == Mode.IDLE:
            self.stop_impedance()
        elif mode == Mode.RESETTING:
            self.joint_reset()
        elif mode == Mode.HALTED:
            self.halt("a test")
        self.hooks.clear()

    @property
    @override
    def now_s(self) -> float:
        return 0.0

    @override
    def tick(self) -> None:
        """Do nothing."""

    @property
    @override
    def wrench(self) -> np.ndarray:
        return np.zeros(6)

    @override
    def set_compliance(self, compliance: Compliance) -> None:
        """Do nothing."""

    @override
    def set_load(self, load: Load) -> None:
        """Do nothing."""

    @override
    def close(self) -> None:
        """Do nothing."""

    @override
    def _on_new_goal(self) -> None:
        self._record("new goal")

    @override
    def _on_impedance(self) -> None:
        self._record("impedance")

    @override
    def _stop_impedance(self) -> None:
        self._record("stop impedance")

    @override
    def _start_joint_reset(self) -> None:
        self._record("joint reset")

    @override
    def _stop_motion(self) -> None:
        self._record("stop motion")


@pytest.mark.parametrize("command", MOTION_COMMANDS)
@pytest.mark.parametrize(("mode", "why"), [(Mode.HALTED, "a test.*recover"), (Mode.RESETTING, "reset posture")])
def test_base_arm_refuses_motion_while_halted_or_resetting(command: str, mode: Mode, why: str) -> None:
    arm = RecordingArm()
    arm.enter(mode)
    with pytest.raises(ArmStateError, match=why):
        MOTION_COMMANDS[command](arm)
    assert arm.mode == mode
    assert arm.hooks == []
    assert arm.recorded_gripper.commands == []
    assert arm.limiter.set_point is arm.pose


def test_base_arm_refuses_poses_without_impedance() -> None:
    arm = RecordingArm()
    arm.enter(Mode.IDLE)
    with pytest.raises(ArmStateError, match="/startimp"):
        arm.command(pose_at(0.45))
    assert arm.hooks == []


@pytest.mark.parametrize("mode", [Mode.IMPEDANCE, Mode.IDLE])
@pytest.mark.parametrize(
    ("command", "hook", "after"),
    [
        ("start_impedance", "impedance", Mode.IMPEDANCE),
        ("stop_impedance", "stop impedance", Mode.IDLE),
        ("joint_reset", "joint reset", Mode.RESETTING),
    ],
)
def test_base_arm_changes_its_mode_by_commands(mode: Mode, command: str, hook: str, after: Mode) -> None:
    arm = RecordingArm()
    arm.enter(mode)
    MOTION_COMMANDS[command](arm)
    assert (arm.hooks, arm.mode) == ([hook], after)


@pytest.mark.parametrize("mode", [Mode.IMPEDANCE, Mode.IDLE])
def test_base_arm_passes_gripper_commands_on(mode: Mode) -> None:
    arm = RecordingArm()
    arm.enter(mode)
    arm.command_gripper("close")
    arm.move_gripper(100.0)
    assert arm.recorded_gripper.commands == ["close", 100.0]


def test_base_arm_follows_a_commanded_pose() -> None:
    arm = RecordingArm()
    arm.enter(Mode.IMPEDANCE)
    arm.command(pose_at(0.45))
    assert arm.hooks == ["new goal"]
    assert np.allclose(arm.limiter.update(arm.pose, np.zeros(3), 0.001), pose_at(0.45))


@pytest.mark.parametrize("mode", list(Mode))
def test_base_arm_halts_in_every_mode_until_it_recovers(mode: Mode) -> None:
    arm = RecordingArm()
    arm.enter(mode)
    arm.halt("a hand in the way")
    assert (arm.hooks, arm.mode, arm.why_halted()) == (["stop motion"], Mode.HALTED, "a hand in the way")
    arm.pose = pose_at(0.5)
    arm.recover()
    assert arm.mode == Mode.IMPEDANCE
    assert arm.limiter.set_point is arm.pose, "it holds where it stands"


@pytest.mark.parametrize("mode", [Mode.IMPEDANCE, Mode.IDLE, Mode.RESETTING])
def test_base_arm_recovers_only_from_a_halt(mode: Mode) -> None:
    arm = RecordingArm()
    arm.enter(mode)
    arm.recover()
    assert (arm.hooks, arm.mode) == ([], mode)


@pytest.mark.parametrize("command", ["start_impedance", "stop_impedance", "joint_reset", "recover"])
def test_base_arm_keeps_its_mode_if_the_hardware_refuses(command: str) -> None:
    mode = Mode.HALTED if command == "recover" else Mode.IMPEDANCE
    arm = RecordingArm()
    arm.enter(mode)
    arm.refusal = "the robot is busy"
    with pytest.raises(ArmStateError, match="busy"):
        getattr(arm, command)()
    assert arm.mode == mode


@pytest.mark.parametrize("driver", [SimArm, FrankaArm, RosArm])
def test_base_arm_alone_decides_what_is_refused(driver: type[BaseArm]) -> None:
    """A command that a driver overrides could refuse less than the others."""
    for name in [*MOTION_COMMANDS, "halt", "why_halted", "_enter_impedance", "_enter_halt", "_require_motion"]:
        assert getattr(driver, name) is getattr(BaseArm, name), name
