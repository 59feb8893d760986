"""The left arm of Enactic's OpenArm v2, on a pillar.

Joint origins, limits, torques, masses and inertias are those of openarm-mujoco 2.3 (Apache-2.0), the stiffness of the
servos as well; their damping is the largest that the motors' own controller takes. At zero the arm hangs down beside
the pillar. Fingers swing about hinges. Shells are fitted by eye.
"""

from hilserl.sim.robot_models.drawing import (
    BOX,
    CAPSULE,
    CYLINDER,
    HINGE,
    IDENTITY,
    X_AXIS,
    Drawing,
    Guard,
    Joint,
    Link,
    Pad,
    Rgba,
    Shape,
)
from hilserl.sim.robot_models.model import Gripper, RobotModel, Servo, Vec3

_SHOULDER_M = 0.48
"""Height of the shoulder above the table."""
_EFFORT = (40.0, 40.0, 27.0, 27.0, 7.0, 7.0, 7.0)
_ARMATURE = (0.0081, 0.0081, 0.16, 0.16, 0.01, 0.01, 0.01)
_DAMPING = (1.0, 1.0, 0.9, 0.9, 0.9, 0.9, 0.9)
_OPEN_RAD = 0.5

_BLACK: Rgba = (0.20, 0.20, 0.21, 1.0)
_SILVER: Rgba = (0.75, 0.76, 0.77, 1.0)
_GREY: Rgba = (0.55, 0.56, 0.58, 1.0)
_X_180 = (0.0, 1.0, 0.0, 0.0)


def _joint(index: int, low: float, high: float, axis: Vec3) -> Joint:
    at = index - 1
    return Joint(f"joint{index}", HINGE, (low, high), _ARMATURE[at], _DAMPING[at], _EFFORT[at], axis)


def _finger(name: str, axis: Vec3) -> Joint:
    return Joint(name, HINGE, (0.0, 0.7854), 0.01, 2.0, 7.0, axis)


# fmt: off
_LINKS = (
    Link("base_link", "world", (0, -0.0935, _SHOULDER_M), IDENTITY, None,
         1.14323, (-0.0025, 0.0258, 0), (0.00113608, 0.00159935, 0.000750542, 3.8e-7, 0, 0)),
    Link("link1", "base_link", (0, 0.0625, 0), IDENTITY, _joint(1, -3.4907, 1.3963, (0, 1, 0)),
         1.14167, (0.00090035, 0.044466, 2.88e-5), (0.00109433, 0.000759199, 0.000670659, -9.416e-6, 0, 0)),
    Link("link2", "link1", (0, 0.06, 0), IDENTITY, _joint(2, -3.3161, 0.17453, (-1, 0, 0)),
         0.277509, (-0.0247185, 0, -0.0312643), (0.000153589, 0.000113062, 8.23e-5, 0, 5.21e-6, 0)),
    Link("link3", "link2", (0, 0, -0.06625), IDENTITY, _joint(3, -1.5708, 1.5708, (0, 0, -1)),
         1.07386, (-0.00300862, -0.000514813, -0.109368),
         (0.00128939, 0.00114019, 0.000559766, -2.3e-7, -6.762e-5, -1.063e-5)),
    Link("link4", "link3", (0, 0, -0.15375), IDENTITY, _joint(4, 0, 2.4435, (0, -1, 0)),
         0.634853, (-0.00310326, -0.00136539, -0.0574601),
         (0.000469004, 0.000433926, 0.000245212, 5.636e-6, -1.779e-6, 3.418e-6)),
    Link("link5", "link4", (0, 0, -0.0955), IDENTITY, _joint(5, -1.5708, 1.5708, (0, 0, -1)),
         0.615659, (-0.000737189, 0.000412407, -0.0470938),
         (0.000279654, 0.000334599, 0.000176663, -3.317e-6, 7.7e-7, 1.5e-7)),
    Link("link6", "link5", (0, 0, -0.1205), IDENTITY, _joint(6, -0.7854, 0.7854, (0, -1, 0)),
         0.475203, (2.27e-5, -0.000686496, 5.44e-5), (0.000179276, 0.000136248, 0.00013534, 0, 0, 0)),
    Link("link7", "link6", (0, 0, 0), IDENTITY, _joint(7, -1.5708, 1.5708, X_AXIS),
         0.1, (0, 0, -0.02), (4.0e-5, 4.0e-5, 4.0e-5, 0, 0, 0)),
    Link("hand", "link7", (0, 0, 0), _X_180, None,
         0.42832, (0.0137902, 0.0084073, 0.064), (0.00019, 0.00013, 0.00015, -4.168e-6, -1.404e-6, 1.512e-6)),
    Link("left_finger", "hand", (-0.00143, 0.018, 0.068), IDENTITY, _finger("finger_joint1", (-1, 0, 0)),
         0.125979, (-0.0124991, 0.00176593, 0.0241663),
         (3.61105e-5, 3.62138e-5, 1.74959e-5, 1.359e-6, -7.139e-6, 3.603e-6)),
    Link("right_finger", "hand", (-0.00143, -0.018, 0.068), IDENTITY, _finger("finger_joint2", X_AXIS),
         0.11372, (-0.012796, -0.0020183, 0.026792),
         (3.4565e-5, 3.5306e-5, 1.6571e-5, -1.339e-6, -7.158e-6, -3.717e-6)),
)

_SHAPES = (
    # Pillar, and the block that carries the shoulder.
    Shape("base_link", BOX, (0.11, 0.11, 0.006), (0, -0.03, 0.006 - _SHOULDER_M), None, _GREY),
    Shape("base_link", BOX, (0.03, 0.03, _SHOULDER_M / 2 + 0.025), (0, -0.03, 0.025 - _SHOULDER_M / 2), None, _SILVER),
    Shape("base_link", BOX, (0.045, 0.03, 0.048), (0, 0.03, 0), None, _BLACK),
    Shape("base_link", CYLINDER, (0.049,), (0, 0.0, 0), (0, 0.06, 0), _BLACK),
    Shape("link1", CYLINDER, (0.031,), (0, -0.004, 0), (0, 0.012, 0), _SILVER),
    Shape("link1", BOX, (0.034, 0.024, 0.044), (0, 0.03, 0), None, _GREY),
    Shape("link1", CYLINDER, (0.047,), (-0.045, 0.06, 0), (0.055, 0.06, 0), _BLACK),
    Shape("link2", CYLINDER, (0.045,), (-0.07, 0, 0), (-0.05, 0, 0), _BLACK),
    Shape("link2", BOX, (0.03, 0.025, 0.04), (-0.025, 0, -0.03), None, _GREY),
    Shape("link2", CYLINDER, (0.03,), (0, 0, -0.068), (0, 0, -0.045), _SILVER),
    # Upper arm.
    Shape("link3", CYLINDER, (0.036,), (0, 0, -0.07), (0, 0, 0.003), _BLACK),
    Shape("link3", BOX, (0.028, 0.028, 0.04), (0, 0, -0.105), None, _GREY),
    Shape("link3", CYLINDER, (0.0395,), (0, -0.034, -0.15375), (0, 0.03, -0.15375), _BLACK),
    Shape("link3", CYLINDER, (0.036,), (0, 0.03, -0.15375), (0, 0.041, -0.15375), _SILVER),
    # Forearm.
    Shape("link4", CYLINDER, (0.021,), (0, -0.038, 0), (0, -0.03, 0), _SILVER),
    Shape("link4", BOX, (0.026, 0.030, 0.032), (0, 0, -0.036), None, _GREY),
    Shape("link4", CYLINDER, (0.033,), (0, 0, -0.095), (0, 0, -0.062), _BLACK),
    Shape("link5", CYLINDER, (0.0195,), (0, 0, -0.014), (0, 0, 0), _SILVER),
    Shape("link5", CYLINDER, (0.032,), (0, 0, -0.06), (0, 0, -0.014), _BLACK),
    Shape("link5", BOX, (0.03, 0.006, 0.038), (0, 0.03, -0.09), None, _GREY),
    Shape("link5", BOX, (0.03, 0.006, 0.038), (0, -0.03, -0.09), None, _GREY),
    Shape("link6", CYLINDER, (0.028,), (0, -0.04, 0), (0, 0.04, 0), _BLACK),
    Shape("link6", CYLINDER, (0.0255,), (-0.04, 0, 0), (0.04, 0, 0), _SILVER),
    # Gripper, in the frame of the hand.
    Shape("hand", BOX, (0.026, 0.028, 0.024), (0, 0, 0.034), None, _GREY),
    Shape("hand", BOX, (0.022, 0.042, 0.014), (0, 0, 0.066), None, _BLACK),
    Shape("left_finger", CAPSULE, (0.0115,), (0, 0.006, 0.004), (0, 0.016, 0.045), _BLACK),
    Shape("left_finger", CAPSULE, (0.0105,), (0, 0.016, 0.045), (0, -0.003, 0.082), _BLACK),
    Shape("left_finger", BOX, (0.014, 0.005, 0.016), (0, -0.0095, 0.096), None, _GREY),
    Shape("right_finger", CAPSULE, (0.0115,), (0, -0.006, 0.004), (0, -0.016, 0.045), _BLACK),
    Shape("right_finger", CAPSULE, (0.0105,), (0, -0.016, 0.045), (0, 0.003, 0.082), _BLACK),
    Shape("right_finger", BOX, (0.014, 0.005, 0.016), (0, 0.0095, 0.096), None, _GREY),
)
# fmt: on
_PADS = (
    Pad("left_pad", "left_finger", (0, -0.014, 0.096), (0.013, 0.004, 0.013)),
    Pad("right_pad", "right_finger", (0, 0.014, 0.096), (0.013, 0.004, 0.013)),
)

OPENARM = RobotModel(
    name="openarm",
    title="OpenArm v2, left arm",
    body=Drawing(_LINKS, _SHAPES, _PADS, (Guard("hand", (0, 0, 0.05), (0.026, 0.042, 0.03)),)),
    joints=tuple(f"joint{index}" for index in range(1, 8)),
    gripper=Gripper(
        ("finger_joint1", "finger_joint2"),
        opened=_OPEN_RAD,
        full_grip=-0.13,
        opening_m=0.084,
        gaps=((0.0, 0.0), (0.146, 0.0245), (0.291, 0.0492), (0.437, 0.0737), (_OPEN_RAD, 0.084)),
        swings=True,
        stiffness=60.0,
        force=8.0,
    ),
    home_joints_rad=(-0.10992, -0.70716, 0.83114, 1.57531, -1.11374, -0.29938, 0.632),
    workspace_low_m=(0.2, -0.06, 0.0),
    workspace_high_m=(0.36, 0.16, 0.17),
    tcp_from_hand_m=0.164,
    tool_pitch_rad=0.7,
    servo=Servo(
        stiffness=(230, 230, 190, 190, 30, 30, 30),
        damping=(5, 5, 5, 5, 1.5, 1.5, 1.5),
        torque=_EFFORT,
        speed_rad_per_s=(5.0, 5.0, 5.0, 5.0, 10.0, 10.0, 10.0),
        time_constant_s=0.05,
    ),
)
