"""Position servos with a delay, backlash and a finite stiffness."""

from collections import deque

import mujoco
import numpy as np

from hilserl.sim.control import ArmSetup
from hilserl.sim.robot_models.model import GRIPPER_ACTUATOR
from hilserl.sim.scene import servos_of
from hilserl.sim.simulation import Simulation

TICKS = 4095
"""Steps of a turn, by which LeRobot converts."""


class Servos:
    """Servos of an arm and its jaw, in a compiled scene.

    Args:
        sim: the scene.
        setup: the arm.
        delay_s: time from a goal to the servos' answer.
        backlash_rad: width of the gears' play.
    """

    def __init__(self, sim: Simulation, setup: ArmSetup, delay_s: float, backlash_rad: float) -> None:
        model = sim.model
        self._sim, self._delay_s, self._backlash_rad = sim, delay_s, backlash_rad
        names = [setup.prefix + name for name in (*setup.robot.joints, *setup.robot.gripper.joints)]
        self._qpos = np.array([model.joint(name).qposadr[0] for name in names])
        self._drives = np.array(
            [model.actuator(name).id for name in (*servos_of(setup), setup.prefix + GRIPPER_ACTUATOR)]
        )
        self.ranges_rad = np.array([model.joint(name).range for name in names])
        """Limits of the joints, float64 [n, 2]."""
        self._waiting: deque[tuple[float, np.ndarray]] = deque()
        self._driven = sim.data.ctrl[self._drives].copy()

    def soften(self, stiffness: float, damping: float) -> None:
        """Give the arm's servos another stiffness and damping; the jaw keeps its own."""
        model: mujoco.MjModel = self._sim.model
        arm = self._drives[:-1]
        model.actuator_gainprm[arm, 0] = stiffness
        model.actuator_biasprm[arm, 1], model.actuator_biasprm[arm, 2] = -stiffness, -damping

    @property
    def positions_rad(self) -> np.ndarray:
        """Positions in whole steps of the encoders, float64 [n]."""
        step = 2 * np.pi / TICKS
        return np.round(self._sim.data.qpos[self._qpos] / step) * step

    def command(self, goal_rad: np.ndarray) -> None:
        """Set the goals; the servos answer after the delay."""
        self._waiting.append((self._sim.data.time + self._delay_s, goal_rad))

    def advance(self, seconds: float) -> None:
        """Simulate a time under the commands."""
        data, model = self._sim.data, self._sim.model
        for _ in range(round(seconds / model.opt.timestep)):
            while self._waiting and self._waiting[0][0] <= data.time:
                goal = self._waiting.popleft()[1]
                # The play of the gears: a goal moves the joint only once the gap is crossed.
                half = np.append(np.full(len(goal) - 1, self._backlash_rad / 2), 0.0)
                self._driven = np.clip(self._driven, goal - half, goal + half)
                data.ctrl[self._drives] = self._driven
            mujoco.mj_step(model, data)
        self._sim.settle()
        self._sim.check()
