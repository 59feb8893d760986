"""The Universal Robots UR5e arm with the Robotiq 2F-85 gripper.

Joint origins, masses, inertias and the stiffness of the position servos are those published with the MuJoCo Menagerie
UR5e (BSD-3-Clause). Their damping is about critical, so that a command is reached in a control step. The flange has a
sensor of force and torque. Shells are fitted by eye.
"""

from hilserl.sim.robot_models import robotiq
from hilserl.sim.robot_models.drawing import (
    CAPSULE,
    CYLINDER,
    HINGE,
    IDENTITY,
    X_NEG_90,
    Y_AXIS,
    Y_POS_90,
    Z_180,
    Z_AXIS,
    Drawing,
    Joint,
    Link,
    Rgba,
    Shape,
)
from hilserl.sim.robot_models.model import RobotModel, Servo, Vec3

_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow", "wrist_1", "wrist_2", "wrist_3")
_TURN = 6.28319

_LIGHT: Rgba = (0.82, 0.83, 0.84, 1.0)
_DARK: Rgba = (0.33, 0.34, 0.36, 1.0)
_BLUE: Rgba = (0.42, 0.63, 0.80, 1.0)


def _joint(index: int, limit: float, axis: Vec3) -> Joint:
    return Joint(_JOINTS[index], HINGE, (-limit, limit), 0.1, 1.0, 150.0 if index < 3 else 28.0, axis)


# fmt: off
_LINKS = (
    Link("base", "world", (0, 0, 0), Z_180, None,
         4.0, (0, 0, 0), (0.0044333, 0.0044333, 0.0072, 0, 0, 0)),
    Link("shoulder_link", "base", (0, 0, 0.163), IDENTITY, _joint(0, _TURN, Z_AXIS),
         3.7, (0, 0, 0), (0.0102675, 0.0102675, 0.00666, 0, 0, 0)),
    Link("upper_arm_link", "shoulder_link", (0, 0.138, 0), Y_POS_90, _joint(1, _TURN, Y_AXIS),
         8.393, (0, 0, 0.2125), (0.133886, 0.133886, 0.0151074, 0, 0, 0)),
    Link("forearm_link", "upper_arm_link", (0, -0.131, 0.425), IDENTITY, _joint(2, 3.1415, Y_AXIS),
         2.275, (0, 0, 0.196), (0.0311796, 0.0311796, 0.004095, 0, 0, 0)),
    Link("wrist_1_link", "forearm_link", (0, 0, 0.392), Y_POS_90, _joint(3, _TURN, Y_AXIS),
         1.219, (0, 0.127, 0), (0.0025599, 0.0025599, 0.0021942, 0, 0, 0)),
    Link("wrist_2_link", "wrist_1_link", (0, 0.127, 0), IDENTITY, _joint(4, _TURN, Z_AXIS),
         1.219, (0, 0, 0.1), (0.0025599, 0.0025599, 0.0021942, 0, 0, 0)),
    Link("wrist_3_link", "wrist_2_link", (0, 0, 0.1), IDENTITY, _joint(5, _TURN, Y_AXIS),
         0.1889, (0, 0.0771683, 0), (9.91e-5, 0.0001321, 9.91e-5, 0, 0, 0)),
    *robotiq.links("wrist_3_link", (0, 0.1, 0), X_NEG_90),
)

_SHAPES = (
    Shape("base", CYLINDER, (0.0745,), (0, 0, 0), (0, 0, 0.03), _DARK),
    Shape("base", CYLINDER, (0.0645,), (0, 0, 0.03), (0, 0, 0.099), _LIGHT),
    # Shoulder: an upright drum and one along y, with a blue lid behind.
    Shape("shoulder_link", CYLINDER, (0.062,), (0, 0, -0.064), (0, 0, 0), _DARK),
    Shape("shoulder_link", CYLINDER, (0.062,), (0, -0.062, 0), (0, 0.073, 0), _LIGHT),
    Shape("shoulder_link", CYLINDER, (0.06,), (0, -0.078, 0), (0, -0.062, 0), _BLUE),
    # Upper arm: two drums along y and the tube between them.
    Shape("upper_arm_link", CYLINDER, (0.062,), (0, -0.065, 0), (0, 0.05, 0), _LIGHT),
    Shape("upper_arm_link", CYLINDER, (0.06,), (0, 0.05, 0), (0, 0.066, 0), _BLUE),
    Shape("upper_arm_link", CYLINDER, (0.0475,), (0, 0, 0.04), (0, 0, 0.385), _LIGHT),
    Shape("upper_arm_link", CYLINDER, (0.0495,), (0, 0, 0.09), (0, 0, 0.1), _DARK),
    Shape("upper_arm_link", CYLINDER, (0.0495,), (0, 0, 0.33), (0, 0, 0.34), _DARK),
    Shape("upper_arm_link", CYLINDER, (0.06,), (0, -0.065, 0.425), (0, 0.05, 0.425), _LIGHT),
    Shape("upper_arm_link", CYLINDER, (0.058,), (0, 0.05, 0.425), (0, 0.066, 0.425), _BLUE),
    Shape("forearm_link", CYLINDER, (0.056,), (0, -0.05, 0), (0, 0.066, 0), _LIGHT),
    Shape("forearm_link", CYLINDER, (0.054,), (0, -0.066, 0), (0, -0.05, 0), _BLUE),
    Shape("forearm_link", CYLINDER, (0.0385,), (0, 0, 0.03), (0, 0, 0.36), _LIGHT),
    Shape("forearm_link", CYLINDER, (0.0405,), (0, 0, 0.07), (0, 0, 0.08), _DARK),
    Shape("forearm_link", CYLINDER, (0.0405,), (0, 0, 0.32), (0, 0, 0.33), _DARK),
    Shape("forearm_link", CYLINDER, (0.043,), (0, -0.05, 0.392), (0, 0.05, 0.392), _LIGHT),
    Shape("forearm_link", CYLINDER, (0.0415,), (0, -0.064, 0.392), (0, -0.05, 0.392), _BLUE),
    # Wrist: three short elbows, each with its lid.
    Shape("wrist_1_link", CYLINDER, (0.0425,), (0, 0.05, 0), (0, 0.085, 0), _DARK),
    Shape("wrist_1_link", CAPSULE, (0.042,), (0, 0.085, 0), (0, 0.127, 0), _LIGHT),
    Shape("wrist_1_link", CYLINDER, (0.042,), (0, 0.127, -0.045), (0, 0.127, 0.05), _LIGHT),
    Shape("wrist_1_link", CYLINDER, (0.0405,), (0, 0.127, -0.058), (0, 0.127, -0.045), _BLUE),
    Shape("wrist_2_link", CYLINDER, (0.0425,), (0, 0, 0.05), (0, 0, 0.062), _DARK),
    Shape("wrist_2_link", CAPSULE, (0.042,), (0, 0, 0.062), (0, 0, 0.1), _LIGHT),
    Shape("wrist_2_link", CYLINDER, (0.042,), (0, -0.045, 0.1), (0, 0.05, 0.1), _LIGHT),
    Shape("wrist_2_link", CYLINDER, (0.0405,), (0, -0.058, 0.1), (0, -0.045, 0.1), _BLUE),
    Shape("wrist_3_link", CYLINDER, (0.0425,), (0, 0.05, 0), (0, 0.062, 0), _DARK),
    Shape("wrist_3_link", CYLINDER, (0.041,), (0, 0.062, 0), (0, 0.1, 0), _LIGHT),
    *robotiq.SHAPES,
)
# fmt: on

UR5E = RobotModel(
    name="ur5e",
    title="Universal Robots UR5e, Robotiq 2F-85",
    body=Drawing(_LINKS, _SHAPES, robotiq.PADS, robotiq.GUARDS),
    joints=_JOINTS,
    gripper=robotiq.GRIPPER,
    home_joints_rad=(0.31314, -1.39276, -1.87026, -1.44937, 1.5708, -1.25766),
    workspace_low_m=(0.25, -0.3, 0.0),
    workspace_high_m=(0.62, 0.3, 0.45),
    tcp_from_hand_m=robotiq.TCP_FROM_FLANGE_M,
    senses_wrench=True,
    servo=Servo(
        stiffness=(2000, 2000, 2000, 500, 500, 500),
        damping=(150, 150, 150, 30, 30, 30),
        torque=(150, 150, 150, 28, 28, 28),
        speed_rad_per_s=(3.14,) * 6,
    ),
)
