"""The base class of tasks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import mujoco
import numpy as np

from hilserl.data.spec import StateEntry
from hilserl.envs.options import FrameName
from hilserl.sim.control import ArmSetup
from hilserl.sim.randomisation import Randomisation
from hilserl.sim.robot_models.model import RobotModel
from hilserl.sim.robot_models.placement import Needs, obstacle, place_robot
from hilserl.sim.scene import FRONT, VIEWS, WRIST, CameraView, world
from hilserl.sim.simulation import Simulation


@dataclass(frozen=True)
class TaskPreset:
    """Settings that a task is trained with by default."""

    settings: Mapping[str, object] = field(default_factory=dict)
    """Values by the dotted names of `TrainConfig`, such as `{"agent.discount": 0.95}`."""


class Task(ABC):
    """A manipulation task: objects, start, success and a script.

    Positions are in metres in the world frame: +x forward, +y left, +z up. A task keeps no state except what `reset`
    sets for the episode; everything else is read from the simulation.
    """

    name: ClassVar[str]
    """Name on the command line."""
    summary: ClassVar[str]
    """Description in half a sentence, imperative."""
    published: ClassVar[str] = ""
    """Best published result on a real robot, with its source."""
    preset: ClassVar[TaskPreset] = TaskPreset()
    """Default settings of training."""
    max_episode_steps: ClassVar[int] = 100
    """Time limit of an episode in control steps."""
    arms: tuple[ArmSetup, ...] = (ArmSetup(),)
    """Arms with their places, workspaces and controls; by default Pandas."""
    needs: ClassVar[Needs] = Needs()
    """Demands on another robot in their place."""
    views: ClassVar[tuple[CameraView, ...]] = VIEWS
    """All cameras, the one for people among them."""
    cameras: ClassVar[tuple[str, ...]] = (FRONT.name, WRIST.name)
    """Default cameras of a policy from pixels."""
    frame: ClassVar[FrameName] = "world"
    """Default reference frame in which a policy sees and moves the tools."""
    state: ClassVar[tuple[StateEntry, ...]] = ()
    """Entries of `observe`, part of the policy's state for `obs="state"` only."""
    reward_cameras: ClassVar[tuple[str, ...]] = ("front", "wrist")
    """Cameras that show success best, for labelling and for reward classifiers."""
    randomisation: ClassVar[Randomisation] = Randomisation()
    """Bodies and ranges of `randomise=True`; floor, robot, light and cameras always vary."""

    def __init__(self, robot: RobotModel | None = None) -> None:
        """Put a robot into the place of every arm.

        Raises:
            HilserlError: The robot cannot do the task.
        """
        if robot is not None:
            self.arms = tuple(place_robot(self.name, arm, self.needs, robot) for arm in self.arms)

    @classmethod
    def obstacle(cls, robot: RobotModel) -> str | None:
        """Say why a robot cannot do the task; None if it can."""
        reasons = (obstacle(arm, cls.needs, robot) for arm in cls.arms)
        return next((reason for reason in reasons if reason), None)

    @abstractmethod
    def build(self, world: mujoco.MjSpec) -> None:
        """Add the task's objects to the scene."""

    @abstractmethod
    def reset(self, sim: Simulation, rng: np.random.Generator) -> None:
        """Place the objects; the arms are at home.

        Args:
            sim: The simulation.
            rng: The only source of randomness.
        """

    @abstractmethod
    def success(self, sim: Simulation) -> bool:
        """True if the task is done now."""

    @abstractmethod
    def expert(self, sim: Simulation) -> np.ndarray:
        """Compute a good action in any state.

        Returns:
            float [n] along the world's axes, in full steps. A longer way than one step may be returned whole: the
            environment goes one step of it, and simulated operators judge the distance by it.
        """

    @abstractmethod
    def progress(self, sim: Simulation) -> float:
        """Estimate how far the task has come, from 0 to 1."""

    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        """Return the true state of the objects, named as in `state`."""
        del sim
        return {}

    def harm(self, sim: Simulation) -> bool:
        """True if an operator would stop the robot at once."""
        del sim
        return False

    def truth(self, sim: Simulation) -> dict[str, Any]:
        """Return verdicts, the script's way and the objects, for a client elsewhere."""
        return {
            "success": self.success(sim),
            "progress": self.progress(sim),
            "harm": self.harm(sim),
            "expert_way": np.asarray(self.expert(sim), np.float64).tolist(),
            "qpos": sim.data.qpos.tolist(),
            "objects": {name: value.tolist() for name, value in self.observe(sim).items()},
        }

    def dense_reward(self, sim: Simulation) -> float:
        """Return the shaped reward of `reward="dense"`, in [0, 1]."""
        return self.progress(sim)


def scene_of(task: Task) -> mujoco.MjSpec:
    """Build the task's scene, not compiled yet."""
    spec = world(task.arms, task.views)
    task.build(spec)
    return spec
