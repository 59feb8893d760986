"""The mechanics of a robot from a file."""

import functools
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.errors import HilserlError, unknown
from hilserl.sim.quaternions import from_matrix
from hilserl.sim.robot_files.description import RobotDescription
from hilserl.sim.robot_files.meshes import fit_primitives
from hilserl.sim.robot_files.source import read_spec
from hilserl.sim.robot_models.drawing import add_gripper, add_wrench_sensor, hold_firmly
from hilserl.sim.robot_models.model import HAND_BODY, TCP_SITE, WRIST_SITE, Body, RobotModel

PREFIX = "file/"
"""Prefix of a file's names, which keeps them from the scene's."""
TCP_FROM_HAND_M = 0.1
"""Distance of the tool's point from the hand's origin, along the approach."""
_HAND_GROUP = 3
_FINGER_ARMATURE = {mujoco.mjtJoint.mjJNT_SLIDE: (2.0, 200.0), mujoco.mjtJoint.mjJNT_HINGE: (0.02, 1.0)}
"""Armature and damping of a finger that stays calm at an object."""


@dataclass(frozen=True)
class FileBody(Body):
    """A robot read from MJCF or URDF."""

    path: Path
    """File of the robot."""
    description: RobotDescription
    """Content of the TOML file beside it."""
    arm_joints: tuple[str, ...]
    """Joints of the arm as the file names them."""

    @override
    def build(self, robot: RobotModel) -> mujoco.MjSpec:
        read = read_spec(self.path)
        tool = self.description.tool.body
        fingers = finger_bodies(self.path, read, tool, self.description.fingers.joints)
        keep_robot(read, tool)
        boxed = {name for side in fingers for name in side}
        fit_primitives(read, boxed)
        _colliding_only(read, boxed | {tool})
        spec = mujoco.MjSpec()
        spec.modelname = robot.name
        spec.compiler.degree = False
        adopt_options(spec, read)
        spec.attach(read, prefix=PREFIX, frame=spec.worldbody.add_frame())
        self._add_hand(spec, robot)
        for side in robot.gripper.pads:
            for name in side:
                hold_firmly(spec.geom(name))
        for name in robot.gripper.joints:
            _calm(spec.joint(name))
        add_gripper(spec, robot.gripper, [PREFIX + side[0] for side in fingers])
        return spec

    def _add_hand(self, spec: mujoco.MjSpec, robot: RobotModel) -> None:
        """Add the hand's frame, the tool's point and the wrist."""
        tool = self.description.tool
        body = spec.body(PREFIX + tool.body)
        approach = np.array(tool.approach) / np.linalg.norm(tool.approach)
        sideways = np.array(tool.fingers_open) - approach * (approach @ np.array(tool.fingers_open))
        sideways /= np.linalg.norm(sideways)
        axes = np.stack([np.cross(sideways, approach), sideways, approach], axis=1)
        origin = np.array(tool.position_m) - robot.tcp_from_hand_m * approach
        hand = body.add_body(name=HAND_BODY, pos=origin, quat=from_matrix(axes))
        hand.add_site(name=TCP_SITE, pos=(0.0, 0.0, robot.tcp_from_hand_m), group=_HAND_GROUP)
        body.add_site(name=WRIST_SITE, pos=origin, quat=from_matrix(axes), group=_HAND_GROUP)
        if robot.senses_wrench:
            add_wrench_sensor(spec)


def adopt_options(whole: mujoco.MjSpec, part: mujoco.MjSpec) -> None:
    """Give a part the physics options of the whole."""
    for name in dir(whole.option):
        value = getattr(whole.option, name)
        if name.startswith("_") or callable(value):
            continue
        if isinstance(value, np.ndarray):
            getattr(part.option, name)[:] = value
        else:
            setattr(part.option, name, value)


def keep_robot(spec: mujoco.MjSpec, tool: str) -> None:
    """Keep only the bodies of the tool's arm, without drives and weight."""
    root = spec.body(tool)
    while root.parent is not None and root.parent != spec.worldbody:
        root = root.parent
    for elements in (spec.actuators, spec.sensors, spec.keys, spec.tendons, spec.lights, spec.cameras):
        for element in list(elements):
            spec.delete(element)
    for geom in list(spec.worldbody.geoms):
        spec.delete(geom)
    for body in list(spec.worldbody.bodies):
        if body != root:
            spec.delete(body)
    for joint in list(root.joints):
        if joint.type == mujoco.mjtJoint.mjJNT_FREE:
            spec.delete(joint)
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0


def finger_bodies(
    path: Path, spec: mujoco.MjSpec, tool: str, fingers: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the bodies on either side of an object, fingers first.

    Raises:
        HilserlError: A body or joint that the description names does not exist.
    """
    joints = {joint.name: joint for joint in spec.joints}
    for name in fingers:
        if name not in joints:
            raise HilserlError(f"{path}: fingers.joints: {unknown('joint', name, joints)}")
    bodies = {body.name: body for body in spec.bodies}
    if tool not in bodies:
        raise HilserlError(f"{path}: tool.body: {unknown('body', tool, sorted(filter(None, bodies)))}")
    sides = [_subtree(joints[name].parent) for name in fingers]
    if len(sides) == 1:
        sides.append((tool,))
    return sides[0], sides[1]


def _subtree(body: mujoco.MjsBody) -> tuple[str, ...]:
    """Return the names of a body and of all below it."""
    return (body.name, *(name for child in body.bodies for name in _subtree(child)))


def _colliding_only(spec: mujoco.MjSpec, bodies: set[str]) -> None:
    """Let only some bodies touch the world, and name their geoms."""
    for body in spec.bodies[1:]:
        for number, geom in enumerate(body.geoms):
            if body.name not in bodies:
                geom.contype = geom.conaffinity = 0
            elif not geom.name:
                geom.name = f"{body.name}_geom_{number}"


def _calm(joint: mujoco.MjsJoint) -> None:
    armature, damping = _FINGER_ARMATURE[mujoco.mjtJoint(joint.type)]
    joint.armature = max(joint.armature, armature)
    joint.damping[0] = max(joint.damping[0], damping)
    joint.frictionloss = 0.0
    joint.actfrcrange, joint.actfrclimited = (0.0, 0.0), mujoco.mjtLimited.mjLIMITED_FALSE


@functools.lru_cache(maxsize=8)
def colliding_geoms(
    path: Path, description: RobotDescription, modified_s: float
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the geoms that hold objects, with the file's prefix.

    Args:
        path: The robot's file.
        description: Its description.
        modified_s: Time of the file's last change, so that a changed file is read again.

    Raises:
        HilserlError: A side has nothing that touches an object.
    """
    del modified_s
    _, sides = touching_spec(path, description.tool.body, description.fingers.joints, description.fingers.geoms)
    first, second = (tuple(PREFIX + name for name in side) for side in sides)
    return first, second


def touching_spec(
    path: Path, tool: str, fingers: tuple[str, ...], geoms: tuple[str, ...]
) -> tuple[mujoco.MjSpec, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Read a robot and find the geoms that hold objects.

    Args:
        path: The robot's file.
        tool: Body that carries the fingers.
        fingers: Joints of the fingers.
        geoms: The two geoms, if they are known.

    Raises:
        HilserlError: A name does not exist, or a side has nothing that touches an object.
    """
    spec = read_spec(path)
    bodies = finger_bodies(path, spec, tool, fingers)
    boxed = {name for side in bodies for name in side}
    fit_primitives(spec, boxed)
    _colliding_only(spec, boxed | {tool})
    if geoms:
        existing = [geom.name for geom in spec.geoms if geom.name]
        for name in geoms:
            if name not in existing:
                raise HilserlError(f"{path}: fingers.geoms: {unknown('geom', name, existing)}")
        return spec, ((geoms[0],), (geoms[1],))
    sides = [
        tuple(geom.name for name in side for geom in spec.body(name).geoms if geom.contype or geom.conaffinity)
        for side in bodies
    ]
    for side, names in zip(sides, bodies, strict=True):
        if not side:
            raise HilserlError(
                f"{path}: nothing of the finger {names[0]} touches an object: give it a geom that collides "
                "(contype and conaffinity not 0), such as a box at the finger's pad."
            )
    return spec, (sides[0], sides[1])
