"""Robots drawn from primitives.

Units are MuJoCo's: metres, radians, kilograms, newtons; quaternions are (w, x, y, z) and need not be normalised. Shells
never collide and carry no mass; only the finger pads and a box around the lower hand touch the world.
"""

from dataclasses import dataclass
from typing import NamedTuple

import mujoco
from typing_extensions import override

from hilserl.sim.robot_models.model import (
    GRIPPER_ACTUATOR,
    HAND_BODY,
    TCP_SITE,
    WRIST_FORCE_SENSOR,
    WRIST_SITE,
    WRIST_TORQUE_SENSOR,
    Body,
    Gripper,
    RobotModel,
    Vec3,
)

Quat = tuple[float, float, float, float]
Rgba = tuple[float, float, float, float]
Inertia = tuple[float, float, float, float, float, float]
"""Inertia about the centre of mass, kg m2.

The order is xx, yy, zz, xy, xz, yz.
"""

BOX = mujoco.mjtGeom.mjGEOM_BOX
CAPSULE = mujoco.mjtGeom.mjGEOM_CAPSULE
CYLINDER = mujoco.mjtGeom.mjGEOM_CYLINDER
HINGE = mujoco.mjtJoint.mjJNT_HINGE
SLIDE = mujoco.mjtJoint.mjJNT_SLIDE
IDENTITY: Quat = (1.0, 0.0, 0.0, 0.0)
X_POS_90: Quat = (1.0, 1.0, 0.0, 0.0)
X_NEG_90: Quat = (1.0, -1.0, 0.0, 0.0)
Y_POS_90: Quat = (1.0, 0.0, 1.0, 0.0)
Z_180: Quat = (0.0, 0.0, 0.0, 1.0)
X_AXIS: Vec3 = (1.0, 0.0, 0.0)
Y_AXIS: Vec3 = (0.0, 1.0, 0.0)
Z_AXIS: Vec3 = (0.0, 0.0, 1.0)

RUBBER: Rgba = (0.13, 0.13, 0.14, 1.0)
METAL: Rgba = (0.55, 0.56, 0.58, 1.0)

HAND_COLLISION = "hand_collision"

_VISUAL_GROUP = 2
_COLLISION_GROUP = 3


class Joint(NamedTuple):
    """One degree of freedom: a hinge or a slide, in SI units."""

    name: str
    kind: mujoco.mjtJoint
    span: tuple[float, float]
    armature: float
    damping: float
    force_limit: float | None
    axis: Vec3 = Z_AXIS


class Link(NamedTuple):
    """A body of the robot.

    The pose is in the parent's frame; mass (kg), centre of mass (m) and inertia (kg m^2) are in the body's frame.
    """

    name: str
    parent: str
    pos: Vec3
    quat: Quat
    joint: Joint | None
    mass: float
    com: Vec3
    inertia: Inertia


class Shape(NamedTuple):
    """A visible primitive in the frame of `body`.

    Capsules and cylinders run from `a` to `b` with radius `size[0]`; boxes have centre `a` and half sizes `size`.
    """

    body: str
    kind: mujoco.mjtGeom
    size: tuple[float, ...]
    a: Vec3
    b: Vec3 | None
    colour: Rgba
    quat: Quat = IDENTITY
    """Orientation of a box."""


class Pad(NamedTuple):
    """A box of rubber that holds objects, in the frame of `body`."""

    name: str
    body: str
    centre_m: Vec3
    half_size_m: Vec3
    quat: Quat = IDENTITY


class Guard(NamedTuple):
    """A box around a part of the hand that pushes objects away."""

    body: str
    centre_m: Vec3
    half_size_m: Vec3


@dataclass(frozen=True)
class SlidingFingers:
    """Two equal fingers on slides along y, moved by one drive."""

    travel_m: float
    """Travel of one finger; the gap is twice this."""
    force_n: float
    """Cap on the drive's force, of which each finger feels half."""
    damping_n_s_per_m: float
    """Damping of a finger.

    With the capped force it sets the closing speed.
    """
    stiffness_n_per_m: float = 8000.0
    """Stiffness of the drive."""

    def links(self, height_m: float, mass: float, com: Vec3, inertia: Inertia) -> tuple[Link, Link]:
        """Return the fingers' bodies, mounted on the hand.

        Args:
            height_m: their origin on the hand's z axis.
            mass: mass of each, kg.
            com: centre of mass of each, m.
            inertia: inertia of each, as in `Link`.
        """

        def finger(number: int, side: str, quat: Quat) -> Link:
            # The armature stands for the drive's reflected inertia. It must outweigh damping x time step (0.6 kg at
            # 2 ms): the contact solver does not see implicit joint damping, and a lighter finger ends in a limit cycle
            # at the object.
            span, name = (0.0, self.travel_m), f"finger_joint{number}"
            joint = Joint(name, SLIDE, span, 2.0, self.damping_n_s_per_m, None, Y_AXIS)
            return Link(f"{side}_finger", HAND_BODY, (0, 0, height_m), quat, joint, mass, com, inertia)

        return finger(1, "left", IDENTITY), finger(2, "right", Z_180)

    def pads(self, centre_m: Vec3, half_size_m: Vec3) -> tuple[Pad, Pad]:
        """Return the fingers' pads, each in its finger's frame."""
        left, right = (Pad(f"{side}_pad", f"{side}_finger", centre_m, half_size_m) for side in ("left", "right"))
        return left, right

    @property
    def gripper(self) -> Gripper:
        """The fingers with their drive, as the robot's data."""
        return Gripper(
            ("finger_joint1", "finger_joint2"),
            opened=self.travel_m,
            full_grip=-self.force_n / self.stiffness_n_per_m,
            opening_m=2 * self.travel_m,
            stiffness=self.stiffness_n_per_m,
            force=self.force_n,
        )


@dataclass(frozen=True)
class Drawing(Body):
    """A robot drawn from primitives."""

    links: tuple[Link, ...]
    """Bodies, parents first; the last ones are the fingers."""
    shapes: tuple[Shape, ...]
    """Visible shells."""
    pads: tuple[Pad, ...]
    """Pads of the fingers."""
    guards: tuple[Guard, ...]
    """Boxes around the hand."""

    @override
    def build(self, robot: RobotModel) -> mujoco.MjSpec:
        spec = mujoco.MjSpec()
        spec.modelname = robot.name
        spec.compiler.degree = False
        bodies = {"world": spec.worldbody}
        for link in self.links:
            bodies[link.name] = _add_link(bodies[link.parent], link)
        for shape in self.shapes:
            _add_shape(bodies[shape.body], shape)
        self._add_contact_geoms(bodies)
        _add_wrist_sensing(spec, bodies[HAND_BODY], robot)
        add_gripper(spec, robot.gripper, [pad.body for pad in self.pads])
        return spec

    def _add_contact_geoms(self, bodies: dict[str, mujoco.MjsBody]) -> None:
        """Add the finger pads and the boxes around the hand.

        The pads' contact parameters win over the object's.
        """
        for pad in self.pads:
            geom = bodies[pad.body].add_geom(
                name=pad.name, type=BOX, pos=pad.centre_m, size=pad.half_size_m, rgba=RUBBER, mass=0.0
            )
            geom.quat = pad.quat
            geom.group = _VISUAL_GROUP
            hold_firmly(geom)
        for number, guard in enumerate(self.guards):
            name = f"{HAND_COLLISION}_{number}" if number else HAND_COLLISION
            box = bodies[guard.body].add_geom(name=name, type=BOX, pos=guard.centre_m, size=guard.half_size_m)
            box.mass, box.group, box.rgba = 0.0, _COLLISION_GROUP, METAL


def hold_firmly(geom: mujoco.MjsGeom) -> None:
    """Give a pad the contact parameters of rubber; they win over others'."""
    geom.condim, geom.priority = 4, 1
    geom.friction = (1.0, 0.02, 0.0001)
    geom.solref, geom.solimp[:3] = (0.004, 1.0), (0.95, 0.99, 0.001)


def _add_link(parent: mujoco.MjsBody, link: Link) -> mujoco.MjsBody:
    """Add a gravity-compensated body, as the real controller hides the arm's weight."""
    body = parent.add_body(name=link.name, pos=link.pos, quat=link.quat, gravcomp=1.0)
    body.explicitinertial = True
    body.mass, body.ipos, body.fullinertia = link.mass, link.com, link.inertia
    if link.joint is not None:
        _add_joint(body, link.joint)
    return body


def _add_joint(body: mujoco.MjsBody, joint: Joint) -> None:
    added = body.add_joint(name=joint.name, type=joint.kind, axis=joint.axis, range=joint.span, armature=joint.armature)
    added.damping[0] = joint.damping
    if joint.force_limit is not None:
        added.actfrcrange = (-joint.force_limit, joint.force_limit)


def _add_shape(body: mujoco.MjsBody, shape: Shape) -> None:
    size = (*shape.size, 0.0, 0.0)[:3]
    geom = body.add_geom(type=shape.kind, size=size, rgba=shape.colour, group=_VISUAL_GROUP)
    geom.contype = geom.conaffinity = 0
    geom.mass = 0.0
    if shape.b is None:
        geom.pos, geom.quat = shape.a, shape.quat
    else:
        geom.fromto = (*shape.a, *shape.b)


def _add_wrist_sensing(spec: mujoco.MjSpec, hand: mujoco.MjsBody, robot: RobotModel) -> None:
    hand.add_site(name=TCP_SITE, pos=(0.0, 0.0, robot.tcp_from_hand_m), group=_COLLISION_GROUP)
    hand.add_site(name=WRIST_SITE, group=_COLLISION_GROUP)
    if robot.senses_wrench:
        add_wrench_sensor(spec)


def add_wrench_sensor(spec: mujoco.MjSpec) -> None:
    """Add sensors of force and torque at the wrist's site."""
    kinds = ((WRIST_FORCE_SENSOR, mujoco.mjtSensor.mjSENS_FORCE), (WRIST_TORQUE_SENSOR, mujoco.mjtSensor.mjSENS_TORQUE))
    for name, kind in kinds:
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=WRIST_SITE)


def add_gripper(spec: mujoco.MjSpec, gripper: Gripper, fingers: list[str]) -> None:
    """Add a position servo on the mean finger travel.

    The equality is the rack that keeps both fingers level.
    """
    tendon = spec.add_tendon(name="fingers")
    for name in gripper.joints:
        tendon.wrap_joint(name, 1.0 / len(gripper.joints))
    if len(gripper.joints) == 2:
        rack = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, name1=gripper.joints[0], name2=gripper.joints[1])
        rack.objtype = mujoco.mjtObj.mjOBJ_JOINT
        rack.data[:2] = (0.0, 1.0)
        rack.solref, rack.solimp[:3] = (0.005, 1.0), (0.95, 0.99, 0.001)
    # Closed fingers are held apart by their joint limits; contact between the pads would only fight them.
    spec.add_exclude(bodyname1=fingers[0], bodyname2=fingers[1])
    servo = spec.add_actuator(name=GRIPPER_ACTUATOR, trntype=mujoco.mjtTrn.mjTRN_TENDON, target="fingers")
    servo.set_to_position(kp=gripper.stiffness)
    servo.ctrlrange = (min(gripper.full_grip, gripper.opened), max(gripper.full_grip, gripper.opened))
    servo.forcerange = (-gripper.force, gripper.force)
