"""Simulated fingers as a Franka hand, a Robotiq gripper, or none."""

import mujoco
import numpy as np

from hilserl.robot.control.backend import FRANKA_M_PER_UNIT, GripperKind, GripperVerb
from hilserl.sim.robot_models.model import GRIPPER_ACTUATOR
from hilserl.sim.robot_models.panda import FINGER_JOINTS, FINGER_RANGE_M
from hilserl.sim.scene import ROBOT_PREFIX

_SLOW_M_PER_S = 0.1
_FULL = 255.0


class SimGripper:
    """Gripper of the simulated arm.

    The normal speed is the highest of the drive, as in the tasks.
    """

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, kind: GripperKind, prefix: str = ROBOT_PREFIX
    ) -> None:
        self._data, self._kind = data, kind
        self._fingers = np.array([model.joint(prefix + name).qposadr[0] for name in FINGER_JOINTS])
        self._drive = model.actuator(prefix + GRIPPER_ACTUATOR).id
        self._goal_m, self._speed_m_per_s = 2 * FINGER_RANGE_M, np.inf

    @property
    def position(self) -> float:
        """Opening from 0 (closed) to 1 (open); 0 without a gripper."""
        if self._kind == "none":
            return 0.0
        return float(np.clip(self._data.qpos[self._fingers].sum() / (2 * FINGER_RANGE_M), 0.0, 1.0))

    def do(self, verb: GripperVerb) -> None:
        """Start a gripper command; `activate` and `reset` have no effect."""
        if self._kind == "none":
            return
        if verb == "open":
            self.command_open()
        elif verb in ("close", "close_slow"):
            self._go(0.0, _SLOW_M_PER_S if verb == "close_slow" else np.inf)

    def move(self, position: float) -> None:
        """Move to a position, clipped to 0 ... 255.

        For a Robotiq gripper 255 is closed; for a Franka hand 255 is 0.1 m, more than it has.
        """
        position = float(np.clip(position, 0.0, _FULL))
        if self._kind == "robotiq":
            self._go(2 * FINGER_RANGE_M * (1 - position / _FULL), np.inf)
        elif self._kind == "franka":
            self._go(position * FRANKA_M_PER_UNIT, np.inf)

    def command_open(self) -> None:
        """Open the fingers."""
        self._go(2 * FINGER_RANGE_M, np.inf)

    def adopt(self) -> None:
        """Take the drive's present command as the goal.

        A task may begin with an object in the hand.
        """
        self._go(2 * float(self._data.ctrl[self._drive]), np.inf)

    def _go(self, width_m: float, speed_m_per_s: float) -> None:
        self._goal_m, self._speed_m_per_s = min(width_m, 2 * FINGER_RANGE_M), speed_m_per_s

    def tick(self, dt_s: float) -> None:
        """Move the drive's command towards the goal for one tick."""
        now = 2 * float(self._data.ctrl[self._drive])
        step = self._speed_m_per_s * dt_s
        self._data.ctrl[self._drive] = (now + min(max(self._goal_m - now, -step), step)) / 2
