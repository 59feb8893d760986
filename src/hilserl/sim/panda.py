"""The Franka Emika Panda arm with the Franka Hand, built from primitives.

Units are MuJoCo's: metres, radians, kilograms, newtons; quaternions are (w, x, y, z) and need not be normalised.
Joint origins follow the modified Denavit-Hartenberg parameters of the Franka datasheet; every arm joint turns about
its link's z axis. Masses and inertias are the identified values published with the MuJoCo Menagerie Panda
(Apache-2.0). The shells are capsules, cylinders and boxes fitted to the real silhouette by eye, so the package ships
no meshes. Shells never collide and carry no mass; only the finger pads and a box around the lower hand touch the world.
"""

from typing import NamedTuple

import mujoco

Vec3 = tuple[float, float, float]
Quat = tuple[float, float, float, float]
Rgba = tuple[float, float, float, float]

ARM_JOINTS = tuple(f"joint{i}" for i in range(1, 8))
FINGER_JOINTS = ("finger_joint1", "finger_joint2")
GRIPPER_ACTUATOR = "gripper"
TCP_SITE = "tcp"
WRIST_SITE = "wrist"
WRIST_FORCE_SENSOR = "wrist_force"
WRIST_TORQUE_SENSOR = "wrist_torque"
LEFT_PAD = "left_pad"
RIGHT_PAD = "right_pad"
HAND_COLLISION = "hand_collision"

FINGER_RANGE_M = 0.04
"""Travel of one finger; the jaw opening is twice this."""
TCP_FROM_WRIST_M = 0.1034
"""Distance of the tool's point from the wrist, along z."""

HOME_JOINTS_RAD = (0.0, -0.418615221, 0.0, -2.578754404, 0.0, 2.160139183, 0.785398163)
"""Arm joints at home.

The tool is at (0.40, 0, 0.30) m in the base frame and points down; the fingers open along y.
"""

SHELL: Rgba = (0.93, 0.94, 0.95, 1.0)
SHELL_SHADE: Rgba = (0.83, 0.84, 0.86, 1.0)
RING: Rgba = (0.30, 0.31, 0.33, 1.0)
METAL: Rgba = (0.55, 0.56, 0.58, 1.0)
RUBBER: Rgba = (0.13, 0.13, 0.14, 1.0)

_IDENTITY: Quat = (1.0, 0.0, 0.0, 0.0)
_X_POS_90: Quat = (1.0, 1.0, 0.0, 0.0)
_X_NEG_90: Quat = (1.0, -1.0, 0.0, 0.0)
_Z_NEG_45: Quat = (0.9238795, 0.0, 0.0, -0.3826834)
_Z_180: Quat = (0.0, 0.0, 0.0, 1.0)

_BOX = mujoco.mjtGeom.mjGEOM_BOX
_CAPSULE = mujoco.mjtGeom.mjGEOM_CAPSULE
_CYLINDER = mujoco.mjtGeom.mjGEOM_CYLINDER
_HINGE = mujoco.mjtJoint.mjJNT_HINGE
_SLIDE = mujoco.mjtJoint.mjJNT_SLIDE

_VISUAL_GROUP = 2
_COLLISION_GROUP = 3


class Joint(NamedTuple):
    """One degree of freedom. Hinges turn about local z (rad, N m), slides move along local y (m, N)."""

    name: str
    kind: mujoco.mjtJoint
    span: tuple[float, float]
    armature: float
    damping: float
    force_limit: float | None


class Link(NamedTuple):
    """A body of the arm.

    The pose is in the parent's frame; mass (kg), centre of mass (m) and inertia (kg m^2) are in the body's frame.
    """

    name: str
    parent: str
    pos: Vec3
    quat: Quat
    joint: Joint | None
    mass: float
    com: Vec3
    inertia: tuple[float, float, float, float, float, float]
    """Inertia xx, yy, zz, xy, xz, yz about the centre of mass."""


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


def _arm_joint(index: int, low: float, high: float) -> Joint:
    """Return an arm joint.

    Its torque limit is the datasheet's: 87 N m for the four big drives, 12 N m for the wrist.
    """
    return Joint(ARM_JOINTS[index - 1], _HINGE, (low, high), 0.1, 1.0, 87.0 if index <= 4 else 12.0)


def _finger_joint(name: str) -> Joint:
    """Return a finger's slide.

    With the capped gripper force the damping sets the closing speed, about 0.13 m/s. The armature stands for the
    drive's reflected inertia. It must outweigh damping x time step (0.6 kg at 2 ms): the contact solver does not see
    implicit joint damping, and a lighter finger ends in a limit cycle at the object.
    """
    return Joint(name, _SLIDE, (0.0, FINGER_RANGE_M), 2.0, 300.0, None)


# fmt: off
LINKS = (
    Link("link0", "world", (0, 0, 0), _IDENTITY, None,
         0.629769, (-0.041018, -0.00014, 0.049974), (0.00315, 0.00388, 0.004285, 8.2904e-7, 0.00015, 8.2299e-6)),
    Link("link1", "link0", (0, 0, 0.333), _IDENTITY, _arm_joint(1, -2.8973, 2.8973),
         4.970684, (0.003875, 0.002081, -0.04762), (0.70337, 0.70661, 0.009117, -0.000139, 0.006772, 0.019169)),
    Link("link2", "link1", (0, 0, 0), _X_NEG_90, _arm_joint(2, -1.7628, 1.7628),
         0.646926, (-0.003141, -0.02872, 0.003495), (0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704)),
    Link("link3", "link2", (0, -0.316, 0), _X_POS_90, _arm_joint(3, -2.8973, 2.8973),
         3.228604, (0.027518, 0.039252, -0.066502), (0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805)),
    Link("link4", "link3", (0.0825, 0, 0), _X_POS_90, _arm_joint(4, -3.0718, -0.0698),
         3.587895, (-0.05317, 0.104419, 0.027454), (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641)),
    Link("link5", "link4", (-0.0825, 0.384, 0), _X_NEG_90, _arm_joint(5, -2.8973, 2.8973),
         1.225946, (-0.011953, 0.041065, -0.038437), (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229)),
    Link("link6", "link5", (0, 0, 0), _X_POS_90, _arm_joint(6, -0.0175, 3.7525),
         1.666555, (0.060149, -0.014117, -0.010517), (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341)),
    Link("link7", "link6", (0.088, 0, 0), _X_POS_90, _arm_joint(7, -2.8973, 2.8973),
         0.735522, (0.010517, -0.004252, 0.061597), (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741)),
    Link("hand", "link7", (0, 0, 0.107), _Z_NEG_45, None,
         0.73, (-0.01, 0, 0.03), (0.001, 0.0025, 0.0017, 0, 0, 0)),
    Link("left_finger", "hand", (0, 0, 0.0584), _IDENTITY, _finger_joint("finger_joint1"),
         0.015, (0, 0, 0.03), (2.375e-6, 2.375e-6, 7.5e-7, 0, 0, 0)),
    Link("right_finger", "hand", (0, 0, 0.0584), _Z_180, _finger_joint("finger_joint2"),
         0.015, (0, 0, 0.03), (2.375e-6, 2.375e-6, 7.5e-7, 0, 0, 0)),
)

_R = 0.055  # shell radius of the shoulder, upper arm and elbow
_RING_R = 0.0568  # rings stand just proud of the shells so that the seams show

SHAPES = (
    # Base: connector block behind, round pedestal in front, neck reaching into the first link.
    Shape("link0", _BOX, (0.062, 0.066, 0.052), (-0.072, 0, 0.052), None, SHELL),
    Shape("link0", _CYLINDER, (0.074,), (0, 0, 0), (0, 0, 0.12), SHELL),
    Shape("link0", _CYLINDER, (_R,), (0, 0, 0.1), (0, 0, 0.24), SHELL),
    # Shoulder: the -y half of the drum belongs to link1, the +y half and the upper arm to link2.
    Shape("link1", _CYLINDER, (_RING_R,), (0, 0, -0.2), (0, 0, -0.188), RING),
    Shape("link1", _CAPSULE, (_R,), (0, 0, -0.1), (0, -0.05, -0.01), SHELL),
    Shape("link1", _CAPSULE, (_R,), (0, 0, 0), (0, -0.06, 0), SHELL),
    Shape("link2", _CYLINDER, (_RING_R,), (0, 0, -0.004), (0, 0, 0.004), RING),
    Shape("link2", _CAPSULE, (_R,), (0, 0, 0), (0, 0, 0.06), SHELL),
    Shape("link2", _CAPSULE, (_R,), (0, -0.01, 0.05), (0, -0.1, 0), SHELL),
    Shape("link2", _CAPSULE, (_R,), (0, -0.1, 0), (0, -0.2, 0), SHELL),
    # Elbow: 8.25 cm forward of the upper arm, the forearm 8.25 cm back again.
    Shape("link3", _CYLINDER, (_RING_R,), (0, 0, -0.128), (0, 0, -0.116), RING),
    Shape("link3", _CAPSULE, (_R,), (0, 0, -0.085), (0.0725, 0.03, -0.01), SHELL),
    Shape("link3", _CAPSULE, (_R,), (0.0825, 0, 0), (0.0825, 0.045, 0), SHELL),
    Shape("link4", _CYLINDER, (_RING_R,), (0, 0, -0.004), (0, 0, 0.004), RING),
    Shape("link4", _CAPSULE, (_R,), (0, 0, 0), (0, 0, 0.045), SHELL),
    Shape("link4", _CAPSULE, (_R,), (-0.01, 0.01, 0.03), (-0.0825, 0.085, 0), SHELL),
    # Forearm: tapers towards its +y side, where it carries the joint 6 drum.
    Shape("link5", _CYLINDER, (_RING_R,), (0, 0, -0.266), (0, 0, -0.254), RING),
    Shape("link5", _CAPSULE, (_R,), (0, 0, -0.29), (0, 0.005, -0.2), SHELL),
    Shape("link5", _CAPSULE, (0.049,), (0, 0.006, -0.19), (0, 0.052, -0.03), SHELL),
    Shape("link5", _CAPSULE, (0.048,), (0, 0.02, 0), (0, 0.062, 0), SHELL),
    # Wrist: 8.8 cm from joint 6 to joint 7.
    Shape("link6", _CAPSULE, (0.048,), (0, 0, -0.01), (0, 0, 0.015), SHELL),
    Shape("link6", _CAPSULE, (0.044,), (0, 0, 0.005), (0.088, 0, 0), SHELL),
    Shape("link6", _CAPSULE, (0.048,), (0.088, 0.015, 0), (0.088, -0.02, 0), SHELL),
    Shape("link7", _CYLINDER, (0.0494,), (0, 0, 0.042), (0, 0, 0.05), RING),
    Shape("link7", _CYLINDER, (0.047,), (0, 0, 0.03), (0, 0, 0.088), SHELL),
    Shape("link7", _CYLINDER, (0.0315,), (0, 0, 0.088), (0, 0, 0.11), METAL),
    Shape("link7", _CYLINDER, (0.022,), (0.036, 0.036, 0.06), (0.036, 0.036, 0.09), SHELL_SHADE),
    # Hand: stadium-shaped body, dark finger rail.
    Shape("hand", _BOX, (0.0315, 0.072, 0.027), (0, 0, 0.029), None, SHELL),
    Shape("hand", _CYLINDER, (0.0315,), (0, 0.072, 0.002), (0, 0.072, 0.056), SHELL),
    Shape("hand", _CYLINDER, (0.0315,), (0, -0.072, 0.002), (0, -0.072, 0.056), SHELL),
    Shape("hand", _BOX, (0.016, 0.09, 0.006), (0, 0, 0.06), None, RING),
    Shape("left_finger", _BOX, (0.0105, 0.0075, 0.027), (0, 0.0145, 0.027), None, METAL),
    Shape("right_finger", _BOX, (0.0105, 0.0075, 0.027), (0, 0.0145, 0.027), None, METAL),
)
# fmt: on

PAD_CENTRE_M: Vec3 = (0.0, 0.004, 0.045)
PAD_HALF_SIZE_M: Vec3 = (0.01, 0.004, 0.01)
HAND_BOX_CENTRE_M: Vec3 = (0.0, 0.0, 0.045)
HAND_BOX_HALF_SIZE_M: Vec3 = (0.03, 0.1, 0.02)

GRIPPER_STIFFNESS_N_PER_M = 8000.0
GRIPPER_FORCE_N = 80.0
"""Cap on the tendon force.

Each finger feels half of it, and reaches it 1 cm before its commanded position.
"""
FULL_GRIP_M = -GRIPPER_FORCE_N / GRIPPER_STIFFNESS_N_PER_M
"""Command that closes with full force at any gap."""


def panda_spec() -> mujoco.MjSpec:
    """Build the specification of arm and hand.

    `link0` is at the origin; attach it with a prefix.
    """
    spec = mujoco.MjSpec()
    spec.modelname = "panda"
    spec.compiler.degree = False
    bodies = {"world": spec.worldbody}
    for link in LINKS:
        bodies[link.name] = _add_link(bodies[link.parent], link)
    for shape in SHAPES:
        _add_shape(bodies[shape.body], shape)
    _add_contact_geoms(bodies)
    _add_wrist_sensing(spec, bodies["hand"])
    _add_gripper(spec)
    return spec


def _add_link(parent: mujoco.MjsBody, link: Link) -> mujoco.MjsBody:
    """Add a gravity-compensated body, as the real controller hides the arm's weight."""
    body = parent.add_body(name=link.name, pos=link.pos, quat=link.quat, gravcomp=1.0)
    body.explicitinertial = True
    body.mass, body.ipos, body.fullinertia = link.mass, link.com, link.inertia
    if link.joint is not None:
        _add_joint(body, link.joint)
    return body


def _add_joint(body: mujoco.MjsBody, joint: Joint) -> None:
    axis = (0.0, 0.0, 1.0) if joint.kind == _HINGE else (0.0, 1.0, 0.0)
    added = body.add_joint(name=joint.name, type=joint.kind, axis=axis, range=joint.span, armature=joint.armature)
    added.damping[0] = joint.damping
    if joint.force_limit is not None:
        added.actfrcrange = (-joint.force_limit, joint.force_limit)


def _add_shape(body: mujoco.MjsBody, shape: Shape) -> None:
    size = (*shape.size, 0.0, 0.0)[:3]
    geom = body.add_geom(type=shape.kind, size=size, rgba=shape.colour, group=_VISUAL_GROUP)
    geom.contype = geom.conaffinity = 0
    geom.mass = 0.0
    if shape.b is None:
        geom.pos = shape.a
    else:
        geom.fromto = (*shape.a, *shape.b)


def _add_contact_geoms(bodies: dict[str, mujoco.MjsBody]) -> None:
    """Add the finger pads and the box around the lower hand.

    The pads' contact parameters win over the object's.
    """
    for name, body in ((LEFT_PAD, bodies["left_finger"]), (RIGHT_PAD, bodies["right_finger"])):
        pad = body.add_geom(name=name, type=_BOX, pos=PAD_CENTRE_M, size=PAD_HALF_SIZE_M, rgba=RUBBER, mass=0.0)
        pad.group = _VISUAL_GROUP
        pad.condim, pad.priority = 4, 1
        pad.friction = (1.0, 0.02, 0.0001)
        pad.solref, pad.solimp[:3] = (0.004, 1.0), (0.95, 0.99, 0.001)
    box = bodies["hand"].add_geom(name=HAND_COLLISION, type=_BOX, pos=HAND_BOX_CENTRE_M, size=HAND_BOX_HALF_SIZE_M)
    box.mass, box.group, box.rgba = 0.0, _COLLISION_GROUP, METAL


def _add_wrist_sensing(spec: mujoco.MjSpec, hand: mujoco.MjsBody) -> None:
    hand.add_site(name=TCP_SITE, pos=(0.0, 0.0, TCP_FROM_WRIST_M), group=_COLLISION_GROUP)
    hand.add_site(name=WRIST_SITE, group=_COLLISION_GROUP)
    kinds = ((WRIST_FORCE_SENSOR, mujoco.mjtSensor.mjSENS_FORCE), (WRIST_TORQUE_SENSOR, mujoco.mjtSensor.mjSENS_TORQUE))
    for name, kind in kinds:
        spec.add_sensor(name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname=WRIST_SITE)


def _add_gripper(spec: mujoco.MjSpec) -> None:
    """Add a position servo on the mean finger travel.

    The equality is the rack that keeps both fingers level.
    """
    tendon = spec.add_tendon(name="fingers")
    for name in FINGER_JOINTS:
        tendon.wrap_joint(name, 0.5)
    rack = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, name1=FINGER_JOINTS[0], name2=FINGER_JOINTS[1])
    rack.objtype = mujoco.mjtObj.mjOBJ_JOINT
    rack.data[:2] = (0.0, 1.0)
    rack.solref, rack.solimp[:3] = (0.005, 1.0), (0.95, 0.99, 0.001)
    # Closed fingers are held apart by their joint limits; contact between the pads would only fight them.
    spec.add_exclude(bodyname1="left_finger", bodyname2="right_finger")
    servo = spec.add_actuator(name=GRIPPER_ACTUATOR, trntype=mujoco.mjtTrn.mjTRN_TENDON, target="fingers")
    servo.set_to_position(kp=GRIPPER_STIFFNESS_N_PER_M)
    servo.ctrlrange = (FULL_GRIP_M, FINGER_RANGE_M)
    servo.forcerange = (-GRIPPER_FORCE_N, GRIPPER_FORCE_N)
