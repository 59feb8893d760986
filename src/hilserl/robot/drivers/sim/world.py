"""World of simulated arms, in steps of a millisecond."""

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from hilserl.sim.scene import impedance_of
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task, scene_of

if TYPE_CHECKING:
    from hilserl.robot.drivers.sim.driver import SimArm

TICK_S = 0.001


def make_scene(task: Task) -> Simulation:
    """Build the task's scene for the real controller's law.

    A step is one millisecond. The six impedance actuators become motors with a damper. Only the control law acts as a
    spring; the damper stays with MuJoCo, which integrates it implicitly.
    """
    spec = scene_of(task)
    spec.option.timestep = TICK_S
    for name in (name for arm in task.arms for name in impedance_of(arm.name)):
        motor = spec.actuator(name)
        motor.biasprm[1] = 0.0
        motor.forcelimited = False
    return Simulation(spec, TICK_S, task.arms)


class SimWorld:
    """Scene of a task whose arms tick together.

    Args:
        task: the task whose objects lie before the arms.
    """

    def __init__(self, task: Task) -> None:
        self.task, self.sim = task, make_scene(task)
        self.arms: list[SimArm] = []
        """The arms that were made for this world, in the task's order."""
        self.ticks = 0
        self.sim.restart()

    def tick(self) -> None:
        """Let all arms measure and act, then advance by a millisecond."""
        mujoco.mj_step1(self.sim.model, self.sim.data)
        for arm in self.arms:
            arm.control()
        mujoco.mj_step2(self.sim.model, self.sim.data)
        self.ticks += 1
        self.sim.check()

    def reset_scene(self, seed: int, *, home: bool) -> None:
        """Place the task's objects as its environment's `reset(seed=seed)` does.

        Args:
            seed: seed of the environment's reset.
            home: also put the robots home.
        """
        if home:
            self.sim.restart()
            for arm in self.arms:
                arm.fingers.command_open()
        self.task.reset(self.sim, np.random.default_rng(seed))
        for arm in self.arms:
            arm.fingers.adopt()
            arm.align_motors()
        self.sim.settle()
        for arm in self.arms:
            arm.resume()

    def truth(self) -> dict[str, Any]:
        """Return the task's verdicts and its script's way."""
        return self.task.truth(self.sim)
