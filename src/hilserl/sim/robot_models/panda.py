"""The Franka Emika Panda arm with the Franka Hand.

Joint origins follow the modified Denavit-Hartenberg parameters of the Franka datasheet; every arm joint turns about
its link's z axis. Masses and inertias are the identified values published with the MuJoCo Menagerie Panda
(Apache-2.0). The shells are fitted to the real silhouette by eye.
"""

from hilserl.sim.robot_models.drawing import (
    BOX,
    CAPSULE,
    CYLINDER,
    HINGE,
    IDENTITY,
    METAL,
    X_NEG_90,
    X_POS_90,
    Drawing,
    Guard,
    Joint,
    Link,
    Quat,
    Rgba,
    Shape,
    SlidingFingers,
)
from hilserl.sim.robot_models.model import RobotModel, Vec3

ARM_JOINTS = tuple(f"joint{i}" for i in range(1, 8))
FINGER_JOINTS = ("finger_joint1", "finger_joint2")

FINGER_RANGE_M = 0.04
"""Travel of one finger; the jaw opening is twice this."""
FINGERS = SlidingFingers(FINGER_RANGE_M, force_n=80.0, damping_n_s_per_m=300.0)
"""Fingers that close at about 0.13 m/s.

They reach their full force 1 cm before the commanded position.
"""
TCP_FROM_WRIST_M = 0.1034
"""Distance of the tool's point from the wrist, along z."""

HOME_JOINTS_RAD = (0.0, -0.418615221, 0.0, -2.578754404, 0.0, 2.160139183, 0.785398163)
"""Arm joints at home.

The tool is at (0.40, 0, 0.30) m in the base frame and points down; the fingers open along y.
"""

SHELL: Rgba = (0.93, 0.94, 0.95, 1.0)
SHELL_SHADE: Rgba = (0.83, 0.84, 0.86, 1.0)
RING: Rgba = (0.30, 0.31, 0.33, 1.0)

_Z_NEG_45: Quat = (0.9238795, 0.0, 0.0, -0.3826834)


def _arm_joint(index: int, low: float, high: float) -> Joint:
    """Return an arm joint.

    Its torque limit is the datasheet's: 87 N m for the four big drives, 12 N m for the wrist.
    """
    return Joint(ARM_JOINTS[index - 1], HINGE, (low, high), 0.1, 1.0, 87.0 if index <= 4 else 12.0)


# fmt: off
LINKS = (
    Link("link0", "world", (0, 0, 0), IDENTITY, None,
         0.629769, (-0.041018, -0.00014, 0.049974), (0.00315, 0.00388, 0.004285, 8.2904e-7, 0.00015, 8.2299e-6)),
    Link("link1", "link0", (0, 0, 0.333), IDENTITY, _arm_joint(1, -2.8973, 2.8973),
         4.970684, (0.003875, 0.002081, -0.04762), (0.70337, 0.70661, 0.009117, -0.000139, 0.006772, 0.019169)),
    Link("link2", "link1", (0, 0, 0), X_NEG_90, _arm_joint(2, -1.7628, 1.7628),
         0.646926, (-0.003141, -0.02872, 0.003495), (0.007962, 0.02811, 0.025995, -0.003925, 0.010254, 0.000704)),
    Link("link3", "link2", (0, -0.316, 0), X_POS_90, _arm_joint(3, -2.8973, 2.8973),
         3.228604, (0.027518, 0.039252, -0.066502), (0.037242, 0.036155, 0.01083, -0.004761, -0.011396, -0.012805)),
    Link("link4", "link3", (0.0825, 0, 0), X_POS_90, _arm_joint(4, -3.0718, -0.0698),
         3.587895, (-0.05317, 0.104419, 0.027454), (0.025853, 0.019552, 0.028323, 0.007796, -0.001332, 0.008641)),
    Link("link5", "link4", (-0.0825, 0.384, 0), X_NEG_90, _arm_joint(5, -2.8973, 2.8973),
         1.225946, (-0.011953, 0.041065, -0.038437), (0.035549, 0.029474, 0.008627, -0.002117, -0.004037, 0.000229)),
    Link("link6", "link5", (0, 0, 0), X_POS_90, _arm_joint(6, -0.0175, 3.7525),
         1.666555, (0.060149, -0.014117, -0.010517), (0.001964, 0.004354, 0.005433, 0.000109, -0.001158, 0.000341)),
    Link("link7", "link6", (0.088, 0, 0), X_POS_90, _arm_joint(7, -2.8973, 2.8973),
         0.735522, (0.010517, -0.004252, 0.061597), (0.012516, 0.010027, 0.004815, -0.000428, -0.001196, -0.000741)),
    Link("hand", "link7", (0, 0, 0.107), _Z_NEG_45, None,
         0.73, (-0.01, 0, 0.03), (0.001, 0.0025, 0.0017, 0, 0, 0)),
    *FINGERS.links(0.0584, 0.015, (0, 0, 0.03), (2.375e-6, 2.375e-6, 7.5e-7, 0, 0, 0)),
)

_R = 0.055  # shell radius of the shoulder, upper arm and elbow
_RING_R = 0.0568  # rings stand just proud of the shells so that the seams show

SHAPES = (
    # Base: connector block behind, round pedestal in front, neck reaching into the first link.
    Shape("link0", BOX, (0.062, 0.066, 0.052), (-0.072, 0, 0.052), None, SHELL),
    Shape("link0", CYLINDER, (0.074,), (0, 0, 0), (0, 0, 0.12), SHELL),
    Shape("link0", CYLINDER, (_R,), (0, 0, 0.1), (0, 0, 0.24), SHELL),
    # Shoulder: the -y half of the drum belongs to link1, the +y half and the upper arm to link2.
    Shape("link1", CYLINDER, (_RING_R,), (0, 0, -0.2), (0, 0, -0.188), RING),
    Shape("link1", CAPSULE, (_R,), (0, 0, -0.1), (0, -0.05, -0.01), SHELL),
    Shape("link1", CAPSULE, (_R,), (0, 0, 0), (0, -0.06, 0), SHELL),
    Shape("link2", CYLINDER, (_RING_R,), (0, 0, -0.004), (0, 0, 0.004), RING),
    Shape("link2", CAPSULE, (_R,), (0, 0, 0), (0, 0, 0.06), SHELL),
    Shape("link2", CAPSULE, (_R,), (0, -0.01, 0.05), (0, -0.1, 0), SHELL),
    Shape("link2", CAPSULE, (_R,), (0, -0.1, 0), (0, -0.2, 0), SHELL),
    # Elbow: 8.25 cm forward of the upper arm, the forearm 8.25 cm back again.
    Shape("link3", CYLINDER, (_RING_R,), (0, 0, -0.128), (0, 0, -0.116), RING),
    Shape("link3", CAPSULE, (_R,), (0, 0, -0.085), (0.0725, 0.03, -0.01), SHELL),
    Shape("link3", CAPSULE, (_R,), (0.0825, 0, 0), (0.0825, 0.045, 0), SHELL),
    Shape("link4", CYLINDER, (_RING_R,), (0, 0, -0.004), (0, 0, 0.004), RING),
    Shape("link4", CAPSULE, (_R,), (0, 0, 0), (0, 0, 0.045), SHELL),
    Shape("link4", CAPSULE, (_R,), (-0.01, 0.01, 0.03), (-0.0825, 0.085, 0), SHELL),
    # Forearm: tapers towards its +y side, where it carries the joint 6 drum.
    Shape("link5", CYLINDER, (_RING_R,), (0, 0, -0.266), (0, 0, -0.254), RING),
    Shape("link5", CAPSULE, (_R,), (0, 0, -0.29), (0, 0.005, -0.2), SHELL),
    Shape("link5", CAPSULE, (0.049,), (0, 0.006, -0.19), (0, 0.052, -0.03), SHELL),
    Shape("link5", CAPSULE, (0.048,), (0, 0.02, 0), (0, 0.062, 0), SHELL),
    # Wrist: 8.8 cm from joint 6 to joint 7.
    Shape("link6", CAPSULE, (0.048,), (0, 0, -0.01), (0, 0, 0.015), SHELL),
    Shape("link6", CAPSULE, (0.044,), (0, 0, 0.005), (0.088, 0, 0), SHELL),
    Shape("link6", CAPSULE, (0.048,), (0.088, 0.015, 0), (0.088, -0.02, 0), SHELL),
    Shape("link7", CYLINDER, (0.0494,), (0, 0, 0.042), (0, 0, 0.05), RING),
    Shape("link7", CYLINDER, (0.047,), (0, 0, 0.03), (0, 0, 0.088), SHELL),
    Shape("link7", CYLINDER, (0.0315,), (0, 0, 0.088), (0, 0, 0.11), METAL),
    Shape("link7", CYLINDER, (0.022,), (0.036, 0.036, 0.06), (0.036, 0.036, 0.09), SHELL_SHADE),
    # Hand: stadium-shaped body, dark finger rail.
    Shape("hand", BOX, (0.0315, 0.072, 0.027), (0, 0, 0.029), None, SHELL),
    Shape("hand", CYLINDER, (0.0315,), (0, 0.072, 0.002), (0, 0.072, 0.056), SHELL),
    Shape("hand", CYLINDER, (0.0315,), (0, -0.072, 0.002), (0, -0.072, 0.056), SHELL),
    Shape("hand", BOX, (0.016, 0.09, 0.006), (0, 0, 0.06), None, RING),
    Shape("left_finger", BOX, (0.0105, 0.0075, 0.027), (0, 0.0145, 0.027), None, METAL),
    Shape("right_finger", BOX, (0.0105, 0.0075, 0.027), (0, 0.0145, 0.027), None, METAL),
)
# fmt: on

PAD_CENTRE_M: Vec3 = (0.0, 0.004, 0.045)
PAD_HALF_SIZE_M: Vec3 = (0.01, 0.004, 0.01)

PADS = FINGERS.pads(PAD_CENTRE_M, PAD_HALF_SIZE_M)
GUARDS = (Guard("hand", (0.0, 0.0, 0.045), (0.03, 0.1, 0.02)),)
FRANKA_HAND = FINGERS.gripper

PANDA = RobotModel(
    name="panda",
    title="Franka Emika Panda, Franka Hand",
    body=Drawing(LINKS, SHAPES, PADS, GUARDS),
    joints=ARM_JOINTS,
    gripper=FRANKA_HAND,
    home_joints_rad=HOME_JOINTS_RAD,
    workspace_low_m=(0.2, -0.3, 0.0),
    workspace_high_m=(0.6, 0.3, 0.5),
    tcp_from_hand_m=TCP_FROM_WRIST_M,
    control="torque",
    senses_wrench=True,
)
