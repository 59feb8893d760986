"""Backend of LeRobot's arms, with their cameras."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from typing_extensions import override

from hilserl.errors import EnvUnavailableError, HilserlError, unknown
from hilserl.images import resized
from hilserl.lerobot.joints import LeRobotConfig, gripper_map, joint_map
from hilserl.lerobot.process import BridgeProcess, DeviceInfo, interpreter
from hilserl.robot.control.backend import ArmStateError, LostError, SceneBackend
from hilserl.robot.control.driver import ArmSettings, NoGripper
from hilserl.robot.control.process_backend import LoopBackend
from hilserl.robot.drivers.lerobot.bus import SILENCE_S, ServoBus, ServoJoints
from hilserl.robot.drivers.lerobot.driver import LeRobotArm
from hilserl.robot.drivers.lerobot.gripper import ServoGripper
from hilserl.robot.drivers.lerobot.kinematics import MeasuredArm
from hilserl.robot.drivers.lerobot.link import BridgeLink
from hilserl.sim.robot_models.model import RobotModel

_MOST_PX = 1920


@dataclass(frozen=True)
class LeRobotSettings(ArmSettings):
    """Settings of an arm of LeRobot."""

    arm: RobotModel
    """Description of the arm."""
    config: LeRobotConfig
    """LeRobot's interpreter, flags and units."""
    info: DeviceInfo | None = None
    """LeRobot's description of the device; `LeRobotBackend` sets it."""
    silence_s: float = SILENCE_S
    """Longest silence of a bus that is not lost, in seconds."""
    control: Connection | None = None
    """Way to LeRobot's process; `LeRobotBackend` sets it."""

    def __post_init__(self) -> None:
        if self.gripper not in ("percent", "none"):
            raise HilserlError(f"Invalid gripper {self.gripper!r}: LeRobot's are told in percent or are none.")

    @property
    @override
    def robot_name(self) -> str:
        return self.arm.name

    @property
    @override
    def tick_s(self) -> float:
        return 1.0 / self.config.rate_hz

    @property
    @override
    def stale_after_s(self) -> float:
        """Longest time without a tick. It is enough for a new connection."""
        return 8.0

    @property
    @override
    def senses_wrench(self) -> bool:
        return False

    @property
    @override
    def reset_tolerance_rad(self) -> float:
        """Largest error of a joint after a joint reset. Servos have backlash."""
        return 0.05

    @property
    @override
    def extra_measurements(self) -> Mapping[str, int]:
        return dict.fromkeys(("begun", "bus_failures", "goals_clipped"), 1)

    @override
    def make(self) -> LeRobotArm:
        assert self.info is not None
        assert self.control is not None
        joints = joint_map(self.config, self.info, self.arm.joints, MeasuredArm(self.arm).ranges_rad)
        numbers = gripper_map(self.config, self.info) if self.gripper == "percent" else None
        gripper = ServoGripper(self.arm, numbers) if numbers else None
        bus = ServoBus(BridgeLink(self.control), self.arm, ServoJoints(joints, gripper), self.silence_s)
        return LeRobotArm(bus, gripper or NoGripper(), self.arm, self.box, self.limits, self.reset_joints_rad)


class LeRobotBackend(LoopBackend, SceneBackend):
    """Arm of LeRobot, started at once.

    Raises:
        HilserlError: LeRobot or the arm does not start, or they do not fit the description.
    """

    def __init__(self, settings: LeRobotSettings) -> None:
        config = settings.config
        self._bridge = BridgeProcess("robot", interpreter(config.python), config.words, config.rate_hz)
        info = self._bridge.info
        gripper = settings.gripper if gripper_map(config, info) else "none"
        try:
            super().__init__(replace(settings, info=info, control=self._bridge.control, gripper=gripper))
        except BaseException:
            self._bridge.close()
            raise
        # Only the loop keeps this end, so that LeRobot's process ends with the loop.
        self._bridge.control.close()

    @property
    @override
    def scene(self) -> str | None:
        return self._bridge.info.scene

    @property
    @override
    def cameras(self) -> tuple[str, ...]:
        return tuple(self._bridge.info.cameras)

    @override
    def image(self, camera: str, height: int, width: int) -> tuple[np.ndarray, float]:
        if camera not in self.cameras:
            raise unknown("camera", camera, self.cameras)
        if not (1 <= height <= _MOST_PX and 1 <= width <= _MOST_PX):
            raise HilserlError(f"Invalid image size {width}x{height}: expected 1x1 to {_MOST_PX}x{_MOST_PX}.")
        try:
            pixels, shape, time_s = self._bridge.image(camera)
        except EnvUnavailableError as error:
            raise LostError(str(error)) from error
        image = np.frombuffer(pixels, np.uint8).reshape(shape)
        return resized(image, height, width), time_s - float(self._state.read()["begun"][0])

    def reset_scene(self, seed: int, *, home: bool) -> None:
        """Place the objects of a simulated robot's scene.

        Args:
            seed: seed of the environment's reset.
            home: not possible, as the servos have to drive there.

        Raises:
            ArmStateError: the robot cannot be put home.
        """
        if home:
            raise ArmStateError('This arm cannot be put home at once; send "home": false, and drive it there.')
        self._ask(reset_scene=seed)

    def truth(self) -> dict[str, Any]:
        """Return the task's verdicts and its script's way, of a simulated robot."""
        return self._ask()["truth"]

    def _ask(self, **message: Any) -> dict[str, Any]:
        try:
            return self._bridge.ask(**message)
        except EnvUnavailableError as error:
            raise LostError(str(error)) from error

    @override
    def metrics(self) -> Mapping[str, float]:
        state = self._state.read()
        return {
            **super().metrics(),
            "bus_failures": int(state["bus_failures"][0]),
            "goals_clipped": int(state["goals_clipped"][0]),
        }

    @override
    def close(self) -> None:
        super().close()
        self._bridge.close()
