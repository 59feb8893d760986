"""Simulated SO-101 that tests drive tick by tick, without processes and real time."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np
from typing_extensions import override

from hilserl.lerobot import bridge
from hilserl.lerobot.joints import LeRobotConfig, gripper_map, joint_map
from hilserl.lerobot.process import DeviceInfo
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.lerobot.bus import ServoBus, ServoJoints
from hilserl.robot.drivers.lerobot.driver import LeRobotArm
from hilserl.robot.drivers.lerobot.gripper import ServoGripper
from hilserl.robot.drivers.lerobot.kinematics import MeasuredArm
from hilserl.robot.drivers.lerobot.link import BusReading, ServoLink
from hilserl.sim.robot_models.so101 import SO101
from tests.support.lerobot_rig import FAKE, PLUGIN, WORDS

TICK_S = 0.02
BOX = Box((0.14, -0.16, 0.0), (0.31, 0.16, 0.19))


@contextlib.contextmanager
def importable_lerobot() -> Iterator[None]:
    """Provide the fake package `lerobot` in this process."""
    names = ("lerobot", "draccus", "lerobot_robot_simulated_so101")
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}
    sys.path[:0] = [str(FAKE), str(PLUGIN)]
    try:
        yield
    finally:
        del sys.path[:2]
        for name in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[name]
        sys.modules.update(before)


class BenchLink(ServoLink):
    """Link to a robot in this process, on a clock that only reading advances."""

    def __init__(self, robot: Any) -> None:
        self.robot, self._time_s, self._is_dead = robot, 0.0, False
        self.goals: list[dict[str, float]] = []
        self.failing = ""
        robot.clock = self.now_s
        robot.connect(calibrate=False)
        self._clipped = False

    def kill(self) -> None:
        """End the robot's process."""
        self._is_dead = True

    @property
    @override
    def ended(self) -> bool:
        return self._is_dead

    @override
    def now_s(self) -> float:
        return self._time_s

    @override
    def read(self, wait_s: float) -> list[BusReading]:
        self._time_s += TICK_S
        if self._is_dead:
            return []
        if self.failing:
            return [BusReading(self._time_s, {}, False, self.failing)]
        return [BusReading(self._time_s, self.robot.get_observation(), self._clipped, "")]

    @override
    def send(self, goal: dict[str, float]) -> bool:
        self.goals.append(goal)
        sent = self.robot.send_action(goal)
        self._clipped = not np.allclose(list(sent.values()), list(goal.values()))
        return True

    @override
    def reconnect(self) -> None:
        """Do nothing: `failing` decides."""

    @override
    def close(self) -> None:
        self.robot.disconnect()


class So101Bench:
    """Arm of LeRobot on the simulated SO-101; `words` are further flags of LeRobot."""

    def __init__(
        self,
        *words: str,
        limits: Limits | None = None,
        reset_joints_rad: tuple[float, ...] = SO101.home_joints_rad,
    ) -> None:
        config, self.robot = LeRobotConfig(), bridge.make_device("robot", [f"--{word}" for word in (*WORDS, *words)])
        info = msgspec.convert(bridge.describe(self.robot, "robot"), DeviceInfo)
        joints = joint_map(config, info, SO101.joints, MeasuredArm(SO101).ranges_rad)
        gripper = gripper_map(config, info)
        assert gripper is not None
        self.link = BenchLink(self.robot)
        jaw = ServoGripper(SO101, gripper)
        self.bus = ServoBus(self.link, SO101, ServoJoints(joints, jaw))
        self.arm = LeRobotArm(self.bus, jaw, SO101, BOX, limits or Limits(), reset_joints_rad)

    def run(self, seconds: float) -> None:
        """Tick the arm for a time on its own clock."""
        for _ in range(round(seconds / TICK_S)):
            self.arm.tick()

    def drive(self, goal: np.ndarray, seconds: float) -> None:
        """Command a pose ten times a second."""
        for _ in range(round(seconds * 10)):
            self.arm.command(goal)
            self.run(0.1)

    def beside_home(self, dx: float, dy: float, dz: float) -> np.ndarray:
        """Return the present pose, moved."""
        return self.arm.pose + np.array([dx, dy, dz, 0, 0, 0, 0])
