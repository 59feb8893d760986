"""What a task is: objects in the scene, where they start, when it is done, and how a script would do it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import mujoco
import numpy as np

from hilserl.data.spec import StateEntry
from hilserl.envs.options import FrameName
from hilserl.sim.control import ArmSetup
from hilserl.sim.randomisation import Randomisation
from hilserl.sim.scene import FRONT, VIEWS, WRIST, CameraView, world
from hilserl.sim.simulation import Simulation


@dataclass(frozen=True)
class TaskPreset:
    """Settings that a task is trained with by default."""

    settings: Mapping[str, object] = field(default_factory=dict)
    """Values by the dotted names of `TrainConfig`, such as `{"agent.discount": 0.95}`."""


class Task(ABC):
    """One manipulation task. Positions are in metres in the world frame: +x forward, +y left, +z up.

    A task keeps no state but what `reset` sets for the episode; everything else is read from the simulation.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    published: ClassVar[str] = ""
    """The best result known of its real twin, and whose."""
    preset: ClassVar[TaskPreset] = TaskPreset()
    max_episode_steps: ClassVar[int] = 100
    arms: ClassVar[tuple[ArmSetup, ...]] = (ArmSetup(),)
    """Where they stand, and what an action does to them."""
    views: ClassVar[tuple[CameraView, ...]] = VIEWS
    """The cameras that there are, the one for people among them."""
    cameras: ClassVar[tuple[str, ...]] = (FRONT.name, WRIST.name)
    """What a policy from pixels sees, unless told otherwise."""
    frame: ClassVar[FrameName] = "world"
    """Along whose axes it sees and moves the tools, unless told otherwise."""
    state: ClassVar[tuple[StateEntry, ...]] = ()
    """What `observe` returns, entry by entry: seen by the policy only where `obs="state"`."""
    reward_cameras: ClassVar[tuple[str, ...]] = ("front", "wrist")
    """In which success is best seen: what is labelled, and what a reward classifier judges by."""
    randomisation: ClassVar[Randomisation] = Randomisation()
    """Whose size, mass and colour vary where `randomise=True`; floor, robot, light and cameras do by themselves."""

    @abstractmethod
    def build(self, world: mujoco.MjSpec) -> None:
        """Adds the task's objects to the world, which holds floor, lights, cameras and robot already."""

    @abstractmethod
    def reset(self, sim: Simulation, rng: np.random.Generator) -> None:
        """Places the objects; the robot is at home. All randomness comes from `rng`."""

    @abstractmethod
    def success(self, sim: Simulation) -> bool:
        """Whether the task is done now."""

    @abstractmethod
    def expert(self, sim: Simulation) -> np.ndarray:
        """A good action, float [n] in [-1, 1], along the world's axes, from whatever state the robot was left in."""

    @abstractmethod
    def progress(self, sim: Simulation) -> float:
        """How far the task has come, from 0 to 1: what a person watching would say."""

    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        """The true state of the objects, named as in `state`."""
        del sim
        return {}

    def harm(self, sim: Simulation) -> bool:
        """Whether something is about to go wrong that a person would stop at once."""
        del sim
        return False

    def dense_reward(self, sim: Simulation) -> float:
        """A shaped reward in [0, 1] for `reward="dense"`."""
        return self.progress(sim)


def scene_of(task: Task) -> mujoco.MjSpec:
    """The task's world, not compiled yet."""
    spec = world(task.arms, task.views)
    task.build(spec)
    return spec
