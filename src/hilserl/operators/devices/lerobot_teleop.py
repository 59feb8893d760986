"""Teleoperators of LeRobot as input devices: leader arms and controllers."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ActionLayout
from hilserl.lerobot.joints import GripperMap, JointMap, LeRobotConfig, gripper_map, joint_map
from hilserl.lerobot.process import BridgeProcess, Receiver, interpreter
from hilserl.operators.devices.device import EngagingDevice, Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.takeover import GripperRequest
from hilserl.settings import Positive
from hilserl.sim.robot_models.kinematics import ArmKinematics
from hilserl.sim.robot_models.registry import find_robot

_DELTAS = ("delta_x", "delta_y", "delta_z")
"""Keys of a controller that tells the tool's motion, as LeRobot's gamepad."""
_CLASSES = {0: GripperRequest.CLOSE, 2: GripperRequest.OPEN}
"""Gripper classes of such a controller; 1 stays."""
_SILENCE_S = 0.5
_STARTED_M = 0.003
"""Motion of a leader that counts as meant."""
_CLOSED_PART, _OPEN_PART = 0.35, 0.65
"""Openings of a leader's jaw at which it asks for a change."""
_EVENTS = {
    "success": Command.SUCCESS,
    "failure": Command.FAILURE,
    "terminate_episode": Command.FAILURE,
    "rerecord_episode": Command.DISCARD,
}
"""Commands of LeRobot's `TeleopEvents`; `is_intervention` is the takeover."""


@dataclass(frozen=True)
class LeRobotTeleopConfig(LeRobotConfig):
    """LeRobot's teleoperator, with the description of a leader arm."""

    robot: str = "so101"
    """Description of a leader arm. A name of `hilserl robots`, or a file."""
    scale: Positive = 1.0
    """Motion of the tool, as a factor of the leader's."""


class TeleopSource(Protocol):
    """Measurements of a teleoperator."""

    def poll(self) -> list[dict[str, Any]]:
        """Return the measurements since the last call, without waiting.

        Each has `action` and `events`, or the reason why it `failed`.

        Raises:
            EOFError: the teleoperator is gone for good.
        """
        ...

    def close(self) -> None:
        """Release the teleoperator."""
        ...


class ProcessSource(TeleopSource):
    """Measurements of a teleoperator in LeRobot's process."""

    def __init__(self, process: BridgeProcess) -> None:
        self._process, self._receiver = process, Receiver(process.control)

    @override
    def poll(self) -> list[dict[str, Any]]:
        return self._receiver.newest()

    @override
    def close(self) -> None:
        self._process.close()


class LeRobotTeleop(EngagingDevice):
    """Teleoperator of LeRobot: its presence and its events.

    A measurement that failed, or none for half a second, counts as absence.

    Args:
        source: the measurements.
        clock: monotonic time in seconds.
    """

    name = "teleoperator"
    arm: str | None = None

    def __init__(self, source: TeleopSource, clock: Callable[[], float] = time.monotonic) -> None:
        self._source, self._clock = source, clock
        self._seen_s = -np.inf
        self._action: dict[str, float] = {}
        self._held: set[str] = set()
        self._is_driving = False

    @override
    def read(self) -> Reading:
        commands: list[Command] = []
        try:
            measured = self._source.poll()
        except EOFError:
            return Reading(present=False)
        for each in measured:
            if "failed" in each:
                self._seen_s = -np.inf
                continue
            self._seen_s, self._action = self._clock(), each["action"]
            commands += self._take_events({name for name, holds in each["events"].items() if holds})
        if self._clock() - self._seen_s > _SILENCE_S:
            return Reading(present=False)
        return self._reading(tuple(commands))

    def _take_events(self, held: set[str]) -> list[Command]:
        """Return the commands of the events that began."""
        began, changed, self._held = held - self._held, held ^ self._held, held
        # The takeover's command changes sides, and the console may have changed them already.
        wants = "is_intervention" in held
        takeover = "is_intervention" in changed and wants != self._is_driving
        return [Command.TAKEOVER] * takeover + [command for name, command in _EVENTS.items() if name in began]

    @override
    def engage(self, engaged: bool, /) -> None:
        self._is_driving = engaged

    def _reading(self, commands: tuple[Command, ...]) -> Reading:
        """Return the newest measurement as a reading."""
        raise NotImplementedError

    @override
    def close(self) -> None:
        self._source.close()


class LeaderArm(LeRobotTeleop):
    """Leader arm, whose tool leads the robot's.

    A leader that has not moved since the takeover leads nothing. The jaw asks for a change when it crosses a third of
    its way, so the robot's gripper keeps its state at a takeover. Turns are left to the console's keys.

    Args:
        source: the measurements.
        kinematics: kinematics of the leader.
        joints: its joints in LeRobot's numbers.
        gripper: its jaw in LeRobot's numbers, if it has one.
        scale: motion of the tool, as a factor of the leader's.
        clock: monotonic time in seconds.
    """

    name = "leader arm"

    def __init__(
        self,
        source: TeleopSource,
        kinematics: ArmKinematics,
        joints: JointMap,
        gripper: GripperMap | None,
        scale: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(source, clock)
        self._kinematics, self._joints, self._gripper, self._scale = kinematics, joints, gripper, scale
        self._start_m: np.ndarray | None = None
        self._has_moved = False
        self._is_open: bool | None = None

    @override
    def _reading(self, commands: tuple[Command, ...]) -> Reading:
        here_m, gripper = self._kinematics.tool_pose(self._joints.read(self._action))[0], self._request()
        if not self._is_driving:
            self._start_m, self._has_moved = None, False
            return Reading(True, commands=commands)
        if self._start_m is None:
            self._start_m = here_m
        self._has_moved |= bool(np.linalg.norm(here_m - self._start_m) > _STARTED_M)
        x, y, z = (self._scale * here_m).tolist()
        return Reading(True, commands=commands, hand_m=(x, y, z) if self._has_moved else None, gripper=gripper)

    def _request(self) -> GripperRequest | None:
        """Return a request if the jaw has crossed a threshold."""
        if self._gripper is None:
            return None
        part = self._gripper.part(self._action[self._gripper.key])
        before = self._is_open
        if part < _CLOSED_PART:
            self._is_open = False
        elif part > _OPEN_PART:
            self._is_open = True
        if before is None or self._is_open == before:
            return None
        return GripperRequest.OPEN if self._is_open else GripperRequest.CLOSE


class DeltaController(LeRobotTeleop):
    """Controller that tells the tool's motion, as LeRobot's gamepad."""

    name = "controller"

    @override
    def _reading(self, commands: tuple[Command, ...]) -> Reading:
        x, y, z = np.clip([self._action[key] for key in _DELTAS], -1.0, 1.0).tolist()
        gripper = _CLASSES.get(round(self._action.get("gripper", 1)))
        return Reading(True, (x, y, z, 0.0, 0.0, 0.0), commands, gripper=gripper)


def open_teleop(layout: ActionLayout, config: LeRobotTeleopConfig) -> LeRobotTeleop:
    """Start a teleoperator of LeRobot.

    Raises:
        HilserlError: LeRobot or the device does not start, or it does not fit its description.
    """
    del layout
    process = BridgeProcess("teleop", interpreter(config.python), config.words, config.rate_hz)
    source, info = ProcessSource(process), process.info
    if set(_DELTAS) <= set(info.commanded):
        return DeltaController(source)
    try:
        robot = find_robot(config.robot)
        kinematics = ArmKinematics(robot, np.array(robot.home_joints_rad, float))
        joints = joint_map(config, info, robot.joints, kinematics.ranges_rad())
    except BaseException:
        source.close()
        raise
    return LeaderArm(source, kinematics, joints, gripper_map(config, info), config.scale)
