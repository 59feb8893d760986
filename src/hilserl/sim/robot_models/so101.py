"""The SO-101 follower arm: five joints and one moving jaw.

Zero is the middle of each joint's range, as LeRobot calibrates it. Joint origins, limits, masses and inertias are those
of SO-ARM100's `so101_new_calib` (Apache-2.0); stiffness and torque of the STS3215 servos follow its model of the motor.
Their damping stands for the gears' friction as well, so that they do not ring. The tool's point is 3.4 cm from the
fixed jaw, so that a part in any turn fits between the jaws. The gap by jaw angle is measured between the jaws' tips.
Shells are fitted by eye.
"""

from hilserl.sim.robot_models.drawing import (
    BOX,
    CYLINDER,
    HINGE,
    IDENTITY,
    X_POS_90,
    Drawing,
    Guard,
    Joint,
    Link,
    Pad,
    Rgba,
    Shape,
)
from hilserl.sim.robot_models.model import Gripper, RobotModel, Servo

_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
_TORQUE_NM = 2.94
_OPEN_RAD, _CLOSED_RAD = 1.15, -0.174533

_YELLOW: Rgba = (0.98, 0.76, 0.12, 1.0)
_BLACK: Rgba = (0.12, 0.12, 0.13, 1.0)
_STEEL: Rgba = (0.60, 0.61, 0.62, 1.0)


def _joint(name: str, low: float, high: float) -> Joint:
    return Joint(name, HINGE, (low, high), 0.028, 0.6, _TORQUE_NM)


# fmt: off
_LINKS = (
    Link("base", "world", (0, 0, 0), IDENTITY, None,
         0.147, (0.0137179, -5.2e-5, 0.0334843), (0.000114686, 0.000136117, 0.000130364, -4.6e-7, 4.97e-6, 9.8e-8)),
    Link("shoulder", "base", (0.0388353, 0, 0.0624), (0, 0, -1, 0), _joint("shoulder_pan", -1.91986, 1.91986),
         0.100006, (-0.0307604, -1.67e-5, -0.0252713),
         (8.3759e-5, 8.10403e-5, 2.39783e-5, 7.6e-8, -1.16342e-6, 1.5e-7)),
    Link("upper_arm", "shoulder", (-0.0303992, -0.0182778, -0.0542), (1, -1, -1, -1),
         _joint("shoulder_lift", -1.74533, 1.74533),
         0.103, (-0.0898471, -0.00838224, 0.0184089),
         (4.08002e-5, 0.000147318, 0.000142487, -1.97819e-5, -4.0e-8, 9.0e-9)),
    Link("lower_arm", "upper_arm", (-0.11257, -0.028, 0), (1, 0, 0, 1), _joint("elbow_flex", -1.69, 1.69),
         0.104, (-0.0980701, 0.00324376, 0.0182831),
         (2.87438e-5, 0.000159844, 0.00014529, 7.41152e-6, 1.26409e-6, -4.9e-8)),
    Link("wrist", "lower_arm", (-0.1349, 0.0052, 0), (1, 0, 0, -1), _joint("wrist_flex", -1.65806, 1.65806),
         0.079, (-0.000103312, -0.0386143, 0.0281156), (3.68263e-5, 2.5391e-5, 2.1e-5, 1.8e-8, -5.3e-8, 3.6412e-6)),
    Link("gripper", "wrist", (0, -0.0611, 0.0181), (0.0172091, -0.0172091, 0.706897, 0.706897),
         _joint("wrist_roll", -2.74385, 2.84121),
         0.087, (0.000213627, 0.000245138, -0.025187),
         (2.75087e-5, 4.33657e-5, 3.45059e-5, -3.35e-7, -5.7352e-6, -5.2e-8)),
    Link("hand", "gripper", (0.032, 0, 0), (0, 1, 1, 0), None,
         1e-4, (0, 0, 0), (1e-8, 1e-8, 1e-8, 0, 0, 0)),
    Link("moving_jaw", "gripper", (0.0202, 0.0188, -0.0234), X_POS_90, _joint("jaw", -0.174533, 1.74533),
         0.012, (-0.00157495, -0.0300244, 0.0192755), (6.61427e-6, 1.89032e-6, 5.28738e-6, -3.2e-7, -5.9e-9, -1.1e-7)),
)

_SERVO = (0.0124, 0.0226, 0.0175)
_SHAPES = (
    # Base: foot, tower with the servo of the pan joint.
    Shape("base", BOX, (0.050, 0.048, 0.005), (-0.002, 0, 0.005), None, _YELLOW),
    Shape("base", BOX, (0.036, 0.025, 0.024), (0.012, 0, 0.034), None, _YELLOW),
    Shape("base", BOX, (0.0236, 0.0127, 0.0205), (0.0263, 0, 0.044), None, _BLACK),
    Shape("base", BOX, (0.004, 0.0255, 0.021), (-0.0272, 0, 0.047), None, _BLACK),
    Shape("base", CYLINDER, (0.012,), (0.0388, 0, 0.058), (0.0388, 0, 0.067), _STEEL),
    # Shoulder: bracket that carries the servo of the lift joint.
    Shape("shoulder", BOX, (0.030, 0.023, 0.005), (-0.012, 0, -0.008), None, _YELLOW),
    Shape("shoulder", BOX, (0.017, 0.026, 0.012), (-0.0317, 0.001, -0.024), None, _YELLOW),
    Shape("shoulder", BOX, (0.0124, 0.0203, 0.0236), (-0.0304, 0, -0.0417), None, _BLACK),
    Shape("shoulder", CYLINDER, (0.0115,), (-0.0304, -0.0225, -0.0542), (-0.0304, 0.0225, -0.0542), _STEEL),
    # Upper arm: two cheeks around the servo of the elbow.
    Shape("upper_arm", BOX, (0.060, 0.013, 0.0025), (-0.056, -0.001, -0.007), None, _YELLOW),
    Shape("upper_arm", BOX, (0.060, 0.013, 0.0025), (-0.056, -0.001, 0.044), None, _YELLOW),
    Shape("upper_arm", BOX, (0.030, 0.010, 0.0255), (-0.063, 0.002, 0.0185), None, _YELLOW),
    Shape("upper_arm", CYLINDER, (0.015,), (0, 0, -0.0095), (0, 0, 0.0465), _YELLOW),
    Shape("upper_arm", BOX, (0.0124, 0.0236, 0.0203), (-0.1126, -0.0155, 0.0184), None, _BLACK),
    Shape("upper_arm", CYLINDER, (0.0115,), (-0.1126, -0.028, -0.004), (-0.1126, -0.028, 0.041), _STEEL),
    # Forearm.
    Shape("lower_arm", BOX, (0.058, 0.013, 0.0025), (-0.050, 0, -0.007), None, _YELLOW),
    Shape("lower_arm", BOX, (0.058, 0.013, 0.0025), (-0.050, 0, 0.046), None, _YELLOW),
    Shape("lower_arm", BOX, (0.026, 0.010, 0.0265), (-0.058, 0.001, 0.0195), None, _YELLOW),
    Shape("lower_arm", CYLINDER, (0.015,), (0, 0, -0.0095), (0, 0, 0.0485), _YELLOW),
    Shape("lower_arm", BOX, (0.0236, 0.0124, 0.0203), (-0.1224, 0.0052, 0.0184), None, _BLACK),
    Shape("lower_arm", CYLINDER, (0.0115,), (-0.1349, 0.0052, -0.004), (-0.1349, 0.0052, 0.041), _STEEL),
    # Wrist: fork and the servo of the roll joint.
    Shape("wrist", BOX, (0.014, 0.032, 0.0025), (0, -0.016, -0.0075), None, _YELLOW),
    Shape("wrist", BOX, (0.014, 0.032, 0.0025), (0, -0.016, 0.044), None, _YELLOW),
    Shape("wrist", BOX, (0.0124, 0.024, 0.0245), (0, -0.036, 0.0185), None, _BLACK),
    Shape("wrist", CYLINDER, (0.0145,), (0, 0, -0.0095), (0, 0, 0.0465), _YELLOW),
    # Gripper: servo of the jaw, fixed jaw on the -x side.
    Shape("gripper", CYLINDER, (0.017,), (0, 0, -0.008), (0, 0, 0.0), _YELLOW),
    Shape("gripper", BOX, (0.0236, 0.0203, 0.0124), (0.0077, 0, -0.0234), None, _BLACK),
    Shape("gripper", BOX, (0.006, 0.0235, 0.018), (-0.0195, 0, -0.026), None, _YELLOW),
    Shape("gripper", BOX, (0.005, 0.017, 0.026), (-0.0175, 0, -0.062), None, _YELLOW, (0.9945, 0, -0.1045, 0)),
    Shape("gripper", BOX, (0.0055, 0.0115, 0.014), (-0.0125, 0, -0.094), None, _YELLOW),
    # Moving jaw, in the frame of its joint.
    Shape("moving_jaw", CYLINDER, (0.011,), (0, 0, -0.004), (0, 0, 0.042), _YELLOW),
    Shape("moving_jaw", BOX, (0.0055, 0.022, 0.0165), (-0.001, -0.022, 0.019), None, _YELLOW),
    Shape("moving_jaw", BOX, (0.0045, 0.024, 0.0115), (-0.0062, -0.062, 0.019), None, _YELLOW, (0.9990, 0, 0, 0.0450)),
)
# fmt: on
_PADS = (
    Pad("left_pad", "moving_jaw", (-0.01233, -0.07625, 0.0189), (0.0045, 0.0115, 0.009)),
    Pad("right_pad", "gripper", (-0.00675, -0.0002, -0.0972), (0.00525, 0.009, 0.0115)),
)
_PERCENT_GAP_M = ((0, 0.004), (9, 0.016), (18, 0.030), (27, 0.044), (36, 0.057), (46, 0.070), (64, 0.094), (82, 0.116))
_GAPS = tuple((_CLOSED_RAD + percent / 100 * 1.919862, gap_m) for percent, gap_m in _PERCENT_GAP_M)

SO101 = RobotModel(
    name="so101",
    title="SO-101 follower",
    body=Drawing(_LINKS, _SHAPES, _PADS, (Guard("gripper", (0.002, 0, -0.026), (0.026, 0.023, 0.018)),)),
    joints=_JOINTS,
    gripper=Gripper(
        ("jaw",),
        opened=_OPEN_RAD,
        closed=_CLOSED_RAD,
        full_grip=_CLOSED_RAD - 0.05,
        opening_m=0.1001,
        gaps=_GAPS,
        swings=True,
        stiffness=60.0,
        force=_TORQUE_NM,
    ),
    home_joints_rad=(-0.15285, -0.70602, 0.56706, 1.2147, -1.6572),
    workspace_low_m=(0.16, -0.14, 0.0),
    workspace_high_m=(0.29, 0.14, 0.17),
    tcp_from_hand_m=0.0985,
    step_factor=0.55,
    tool_pitch_rad=0.5,
    turns=("tcp_dry", "tcp_drz"),
    servo=Servo(
        stiffness=(998.22,) * 5,
        damping=(12.0,) * 5,
        torque=(_TORQUE_NM,) * 5,
        speed_rad_per_s=(4.7,) * 5,
    ),
)
