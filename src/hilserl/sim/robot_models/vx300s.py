"""The Trossen ViperX 300 S arm with its gripper.

Joint origins, limits, masses and inertias are those of gym-aloha's model (Apache-2.0). Torques and speeds are the
datasheets' of the Dynamixel XM540-W270 (two at shoulder and elbow) and XM430-W350 servos. A finger's zero is its
closed position, 21 mm from the middle. Shells are fitted by eye.
"""

from hilserl.sim.robot_models.drawing import (
    BOX,
    CYLINDER,
    HINGE,
    IDENTITY,
    METAL,
    X_AXIS,
    Y_AXIS,
    Z_AXIS,
    Drawing,
    Guard,
    Joint,
    Link,
    Rgba,
    Shape,
    SlidingFingers,
)
from hilserl.sim.robot_models.model import RobotModel, Servo, Vec3

_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
_TORQUE_NM = (10.6, 21.2, 21.2, 10.6, 10.6, 4.1)
_APPROACH_X = (0.0, 1.0, 0.0, 1.0)
"""Orientation of the hand: z along the gripper's x axis."""
_TCP_FROM_HAND_M = 0.145
_FINGERS = SlidingFingers(0.036, force_n=50.0, damping_n_s_per_m=200.0)

_BLACK: Rgba = (0.16, 0.16, 0.17, 1.0)
_GREY: Rgba = (0.30, 0.31, 0.32, 1.0)


def _joint(index: int, low: float, high: float, axis: Vec3) -> Joint:
    return Joint(_JOINTS[index], HINGE, (low, high), 0.06, 1.0, _TORQUE_NM[index], axis)


# fmt: off
_FINGER = (0.034796, (0.0, 0.015, 0.017344), (1.417e-5, 2.433e-5, 1.255e-5, 0.0, 0.0, 0.0))
_LINKS = (
    Link("base", "world", (0, 0, 0), IDENTITY, None,
         0.969, (-0.053, 0, 0.036), (0.0060, 0.0017, 0.0070, 0, 0, 0)),
    Link("shoulder_link", "base", (0, 0, 0.079), IDENTITY, _joint(0, -3.14158, 3.14158, Z_AXIS),
         0.798614, (0.000259233, -3.4e-6, 0.0116129), (0.001138, 0.0009388, 0.001201, 0, -5.957e-6, 0)),
    Link("upper_arm_link", "shoulder_link", (0, 0, 0.04805), IDENTITY, _joint(1, -1.85005, 1.25664, Y_AXIS),
         0.792592, (0.0206949, 0, 0.226459), (0.008937, 0.008925, 0.0009357, 0, -0.001201, 0)),
    Link("upper_forearm_link", "upper_arm_link", (0.05955, 0, 0.3), IDENTITY, _joint(2, -1.76278, 1.6057, Y_AXIS),
         0.322228, (0.105723, 0, 0), (0.0001524, 0.001342, 0.001441, -1.883e-5, -8.407e-6, 1.256e-6)),
    Link("lower_forearm_link", "upper_forearm_link", (0.2, 0, 0), IDENTITY, _joint(3, -3.14158, 3.14158, X_AXIS),
         0.414823, (0.0513477, 0.00680462, 0), (0.0001753, 0.0005269, 0.0005911, 8.528e-5, 0, 0)),
    Link("wrist_link", "lower_forearm_link", (0.1, 0, 0), IDENTITY, _joint(4, -1.8675, 2.23402, Y_AXIS),
         0.115395, (0.046743, -7.7e-6, 0.010565), (4.514e-5, 4.631e-5, 5.27e-5, 0, -4.2e-6, 0)),
    Link("gripper_link", "wrist_link", (0.069744, 0, 0), IDENTITY, _joint(5, -3.14158, 3.14158, X_AXIS),
         0.251652, (0.0395662, 0, 0.00400649), (0.00066168, 0.000468142, 0.000678182, 0, 1.7795e-5, 0)),
    Link("hand", "gripper_link", (0, 0, 0), _APPROACH_X, None,
         0.008009, (0, 0, 0.0509), (2.3796e-6, 2.0386e-6, 4.2979e-6, 0, 0, 0)),
    *_FINGERS.links(0.0687, *_FINGER),
)

_SHAPES = (
    Shape("base", BOX, (0.090, 0.080, 0.006), (-0.055, 0, 0.006), None, _GREY),
    Shape("base", BOX, (0.055, 0.055, 0.024), (-0.07, 0, 0.036), None, _BLACK),
    Shape("base", CYLINDER, (0.06,), (0, 0, 0.012), (0, 0, 0.072), _BLACK),
    # Shoulder: turntable with a cheek and a servo on each side.
    Shape("shoulder_link", CYLINDER, (0.061,), (0, 0, -0.003), (0, 0, 0.012), _GREY),
    Shape("shoulder_link", BOX, (0.024, 0.052, 0.006), (0, 0, 0.016), None, _BLACK),
    Shape("shoulder_link", BOX, (0.022, 0.006, 0.032), (0, 0.046, 0.044), None, _BLACK),
    Shape("shoulder_link", BOX, (0.022, 0.006, 0.032), (0, -0.046, 0.044), None, _BLACK),
    Shape("shoulder_link", CYLINDER, (0.018,), (0, -0.055, 0.048), (0, 0.055, 0.048), METAL),
    # Upper arm: a square beam between servos, offset forward at the elbow.
    Shape("upper_arm_link", BOX, (0.026, 0.037, 0.026), (0, 0, 0.004), None, _BLACK),
    Shape("upper_arm_link", BOX, (0.013, 0.017, 0.115), (-0.006, 0.0, 0.135), None, _GREY),
    Shape("upper_arm_link", BOX, (0.019, 0.036, 0.030), (0.003, 0, 0.268), None, _BLACK),
    Shape("upper_arm_link", BOX, (0.046, 0.008, 0.017), (0.027, 0.038, 0.3), None, _BLACK),
    Shape("upper_arm_link", BOX, (0.046, 0.008, 0.017), (0.027, -0.038, 0.3), None, _BLACK),
    Shape("upper_arm_link", CYLINDER, (0.018,), (0.05955, -0.05, 0.3), (0.05955, 0.05, 0.3), METAL),
    Shape("upper_forearm_link", BOX, (0.028, 0.028, 0.019), (0.01, 0, 0), None, _BLACK),
    Shape("upper_forearm_link", BOX, (0.075, 0.013, 0.013), (0.105, 0, 0), None, _GREY),
    Shape("upper_forearm_link", BOX, (0.022, 0.02, 0.018), (0.172, 0, 0), None, _BLACK),
    Shape("lower_forearm_link", CYLINDER, (0.02,), (-0.006, 0, 0), (0.012, 0, 0), METAL),
    Shape("lower_forearm_link", BOX, (0.040, 0.024, 0.019), (0.05, 0.0, 0), None, _BLACK),
    Shape("lower_forearm_link", BOX, (0.026, 0.005, 0.014), (0.095, 0.033, 0), None, _GREY),
    Shape("lower_forearm_link", BOX, (0.026, 0.005, 0.014), (0.095, -0.033, 0), None, _GREY),
    Shape("wrist_link", CYLINDER, (0.014,), (0, -0.04, 0), (0, 0.04, 0), METAL),
    Shape("wrist_link", BOX, (0.030, 0.026, 0.018), (0.026, 0, 0.0), None, _BLACK),
    # Gripper: servo, bar along y on which the fingers' carriages slide.
    Shape("hand", CYLINDER, (0.018,), (0, 0, -0.012), (0, 0, 0.006), METAL),
    Shape("hand", BOX, (0.022, 0.019, 0.022), (0, 0, 0.026), None, _BLACK),
    Shape("hand", BOX, (0.010, 0.075, 0.007), (0.004, 0, 0.06), None, METAL),
    Shape("hand", BOX, (0.024, 0.03, 0.006), (0, 0, 0.05), None, _GREY),
    *(shape for side in ("left_finger", "right_finger") for shape in (
        Shape(side, BOX, (0.016, 0.014, 0.009), (0, 0.022, 0.0), None, _BLACK),
        Shape(side, BOX, (0.011, 0.0055, 0.026), (0, 0.021, 0.032), None, _BLACK, (0.9877, 0.1564, 0, 0)),
        Shape(side, BOX, (0.011, 0.0045, 0.017), (0, 0.0125, 0.072), None, _BLACK),
    )),
)
# fmt: on
_PADS = _FINGERS.pads((0, 0.004, 0.0763), (0.011, 0.004, 0.013))

VX300S = RobotModel(
    name="vx300s",
    title="Trossen ViperX 300 S",
    body=Drawing(_LINKS, _SHAPES, _PADS, (Guard("hand", (0, 0, 0.045), (0.024, 0.06, 0.03)),)),
    joints=_JOINTS,
    gripper=_FINGERS.gripper,
    home_joints_rad=(0, -0.10574, 0.3307, 0, 1.34584, 0),
    workspace_low_m=(0.22, -0.2, 0.0),
    workspace_high_m=(0.42, 0.2, 0.25),
    tcp_from_hand_m=_TCP_FROM_HAND_M,
    servo=Servo(
        stiffness=(600, 1200, 800, 200, 200, 100),
        damping=(30, 50, 30, 8, 8, 4),
        torque=_TORQUE_NM,
        speed_rad_per_s=(3.14,) * 6,
    ),
)
