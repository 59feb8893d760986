"""The base of tasks in users' scenes."""

from pathlib import Path
from typing import ClassVar

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.data.spec import StateEntry
from hilserl.sim.quaternions import rotate
from hilserl.sim.robot_files.body import adopt_options
from hilserl.sim.robot_files.meshes import show_primitives
from hilserl.sim.robot_files.source import read_spec
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task
from hilserl.tasks.scenes.description import SceneDescription

SCENE_PREFIX = "scene/"
"""Prefix of a scene's names, which keeps them from the robot's."""


class SceneTask(Task):
    """A task of objects in MJCF and a goal in TOML."""

    description: ClassVar[SceneDescription]
    """Content of the TOML file."""
    scene_path: ClassVar[Path]
    """MJCF file of the scene."""

    @classmethod
    def entries(cls) -> tuple[StateEntry, ...]:
        """Return the entries of the objects' true state."""
        raise NotImplementedError

    @classmethod
    def grasped(cls) -> str:
        """Return the body that the gripper holds; empty if none."""
        return cls.description.goal.body

    @override
    def build(self, world: mujoco.MjSpec) -> None:
        read = scene_spec(self.scene_path)
        adopt_options(world, read)
        world.attach(read, prefix=SCENE_PREFIX, frame=world.worldbody.add_frame())

    @override
    def reset(self, sim: Simulation, rng: np.random.Generator) -> None:
        for name, spread in self.description.random.items():
            x, y = rng.uniform(*np.transpose([spread.x_m, spread.y_m]))
            yaw = np.deg2rad(rng.uniform(*spread.yaw_deg))
            place_randomly(sim, SCENE_PREFIX + name, np.array([x, y, 0.0]), yaw)
        if not self.grasped():
            sim.arm.grip(0.0)

    def body_m(self, sim: Simulation) -> np.ndarray:
        """Return the position of the goal's body (world frame)."""
        return sim.position_m(SCENE_PREFIX + self.description.goal.body)

    def is_held(self, sim: Simulation) -> bool:
        """True if both fingers hold the goal's body."""
        return sim.held(SCENE_PREFIX + self.description.goal.body)

    @override
    def harm(self, sim: Simulation) -> bool:
        body = self.grasped()
        if not body:
            return False
        position, arm = sim.position_m(SCENE_PREFIX + body)[:2], self.arms[0]
        return bool((position < arm.workspace_low_m[:2]).any() or (position > arm.workspace_high_m[:2]).any())


def place_randomly(sim: Simulation, body: str, offset_m: np.ndarray, yaw_rad: float) -> None:
    """Move a body from where the scene's file has it.

    A free body lies there, at rest; a fixed one is put there until the next reset.
    """
    number = sim.model.body(body).id
    joint = sim.model.body_jntadr[number]
    turn = np.array([0.0, 0.0, yaw_rad])
    if joint >= 0 and sim.model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_FREE:
        start = sim.model.jnt_qposadr[joint]
        rest = sim.model.qpos0[start : start + 7]
        sim.place_turned(body, rest[:3] + offset_m, rotate(rest[3:], turn))
        return
    # The compiled model keeps the place of the file in its reference pose, which nothing else changes.
    home_m, home_wxyz = sim.home_of(number)
    sim.model.body_pos[number] = home_m + offset_m
    sim.model.body_quat[number] = rotate(home_wxyz, turn)


def scene_spec(path: Path) -> mujoco.MjSpec:
    """Read a scene without its floor and lights, meshes for people only.

    Raises:
        HilserlError: The file is missing or broken.
    """
    read = read_spec(path)
    for elements in (read.lights, read.keys):
        for element in list(elements):
            read.delete(element)
    for geom in list(read.worldbody.geoms):
        if geom.type == mujoco.mjtGeom.mjGEOM_PLANE:
            read.delete(geom)
    show_primitives(read)
    return read
