"""The simulated SO-101, by LeRobot's interface of a robot."""

import math
import time
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from lerobot.robots import Robot

from hilserl import tasks
from hilserl.sim.cameras import Cameras
from hilserl.sim.robot_models.so101 import SO101
from hilserl.sim.scene import PHYSICS_DT_S
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import scene_of
from lerobot_robot_simulated_so101.config_simulated_so101 import SimulatedSo101Config
from lerobot_robot_simulated_so101.servos import TICKS, Servos

_JOINTS = (*SO101.joints, "gripper")
_MOST_BEHIND_S = 0.2
_MIDDLE = 2047
_ROLL = _JOINTS.index("wrist_roll")


class SimulatedSo101(Robot):
    """SO-101 follower before a task's objects, in real time.

    Time passes while a method is called, up to 0.2 s at once. `hilserl_scene`, `reset_scene` and `truth` are beyond
    LeRobot's interface: a robot server of hilserl tells its clients of the scene by them.
    """

    config_class = SimulatedSo101Config
    name = "simulated_so101"

    def __init__(self, config: SimulatedSo101Config) -> None:
        super().__init__(config)
        self.config = config
        self._task = tasks.find(config.task)(SO101)
        self._sim = Simulation(scene_of(self._task), PHYSICS_DT_S, self._task.arms)
        self._sim.restart()
        self._servos = Servos(self._sim, self._task.arms[0], config.delay_s, math.radians(config.backlash_deg))
        self._servos.soften(config.stiffness_nm_per_rad, config.damping_nms_per_rad)
        self._cameras = Cameras(self._sim.model)
        self._views = tuple(filter(None, config.views.split(",")))
        ends = np.round(self._servos.ranges_rad * TICKS / (2 * math.pi) + _MIDDLE).astype(int)
        ends[_ROLL] = 0, TICKS  # LeRobot calibrates the roll as a whole turn
        self.calibration = {
            joint: SimpleNamespace(range_min=int(low), range_max=int(high))
            for joint, (low, high) in zip(_JOINTS, ends, strict=True)
        }
        self._half_rad = (ends[:-1, 1] - ends[:-1, 0]) / 2 * 2 * math.pi / TICKS
        self._connected = False
        self.clock = time.monotonic
        """Clock by which the scene's time passes, in seconds."""
        self._now_s = 0.0
        self.reset_scene(0)

    @property
    def hilserl_scene(self) -> str:
        """Name of the task whose objects lie before the arm."""
        return self._task.name

    @cached_property
    def observation_features(self) -> dict[str, Any]:
        """Keys of an observation: float, or the shape of an image."""
        size = self.config.image_px
        return self.action_features | dict.fromkeys(self._views, (size, size, 3))

    @cached_property
    def action_features(self) -> dict[str, Any]:
        """Keys of an action."""
        return {f"{joint}.pos": float for joint in _JOINTS}

    @property
    def is_connected(self) -> bool:
        """True between `connect` and `disconnect`."""
        return self._connected

    @property
    def is_calibrated(self) -> bool:
        """True: the simulated servos need no calibration."""
        return True

    def connect(self, calibrate: bool = True) -> None:
        """Open the bus. Raises ConnectionError if it fails."""
        del calibrate
        self._check_bus("connect")
        self._connected, self._now_s = True, self.clock()

    def calibrate(self) -> None:
        """Do nothing."""

    def configure(self) -> None:
        """Do nothing."""

    def disconnect(self) -> None:
        """Close the bus."""
        self._connected = False

    def get_observation(self) -> dict[str, Any]:
        """Read the servos and the cameras. Raises ConnectionError if the bus fails."""
        self._check_bus("sync read 'Present_Position'")
        self._pass_time()
        told = self._told(self._servos.positions_rad)
        size = self.config.image_px
        images = {view: self._cameras.render(self._sim.data, view, size, size) for view in self._views}
        return dict(zip(self.action_features, told.tolist(), strict=True)) | images

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """Command the servos. Raises ConnectionError if the bus fails.

        Returns:
            The goals after `max_relative_target`.
        """
        self._check_bus("sync write 'Goal_Position'")
        self._pass_time()
        present = self._told(self._servos.positions_rad)
        goal = np.array([action.get(key, here) for key, here in zip(self.action_features, present, strict=True)])
        if (most := self.config.max_relative_target) is not None:
            goal = np.clip(goal, present - most, present + most)
        low, high = self._servos.ranges_rad.T
        self._servos.command(np.clip(self._radians(goal), low, high))
        return dict(zip(self.action_features, goal.tolist(), strict=True))

    def _check_bus(self, what: str) -> None:
        if self.config.fault_file and Path(self.config.fault_file).exists():
            raise ConnectionError(
                f"Failed to {what} on ids=[1, 2, 3, 4, 5, 6]. [TxRxResult] There is no status packet!"
            )

    def _pass_time(self) -> None:
        """Let the scene catch up with the clock."""
        now_s = self.clock()
        self._servos.advance(min(now_s - self._now_s, _MOST_BEHIND_S))
        self._now_s = now_s

    def _told(self, radians: np.ndarray) -> np.ndarray:
        """Convert angles to LeRobot's numbers: degrees or percent, the jaw in percent."""
        low, high = self._servos.ranges_rad[-1]
        arm, jaw = radians[:-1], radians[-1]
        arm = np.degrees(arm) if self.config.use_degrees else 100 * arm / self._half_rad
        return np.append(arm, 100 * (jaw - low) / (high - low))

    def _radians(self, told: np.ndarray) -> np.ndarray:
        low, high = self._servos.ranges_rad[-1]
        arm, jaw = told[:-1], told[-1]
        arm = np.radians(arm) if self.config.use_degrees else arm * self._half_rad / 100
        return np.append(arm, low + jaw / 100 * (high - low))

    def reset_scene(self, seed: int) -> None:
        """Place the task's objects as its environment's `reset(seed=seed)` does."""
        self._task.reset(self._sim, np.random.default_rng(seed))
        self._sim.settle()

    def truth(self) -> dict[str, Any]:
        """Return the task's verdicts and its script's way."""
        return self._task.truth(self._sim)
