"""The Kinova Gen3 arm (7 joints) with the Robotiq 2F-85 gripper.

Joint origins, limits, torques, masses and inertias are those of Kinova's own description (ros2_kortex, BSD-3-Clause). A
torque sensor in each joint gives the wrench at the wrist. Shells are fitted by eye.
"""

from hilserl.sim.robot_models import robotiq
from hilserl.sim.robot_models.drawing import (
    CAPSULE,
    CYLINDER,
    HINGE,
    X_NEG_90,
    X_POS_90,
    Drawing,
    Joint,
    Link,
    Rgba,
    Shape,
)
from hilserl.sim.robot_models.model import RobotModel

_X_180 = (0.0, 1.0, 0.0, 0.0)
_CONTINUOUS = 6.28319
_FLANGE_Z_90 = (0.0, 1.0, 1.0, 0.0)

_WHITE: Rgba = (0.90, 0.91, 0.92, 1.0)
_RING: Rgba = (0.20, 0.22, 0.26, 1.0)
_SILVER: Rgba = (0.66, 0.68, 0.70, 1.0)


def _joint(index: int, limit: float = _CONTINUOUS) -> Joint:
    return Joint(f"joint_{index}", HINGE, (-limit, limit), 0.1, 1.0, 39.0 if index <= 4 else 9.0)


# fmt: off
_LINKS = (
    Link("base_link", "world", (0, 0, 0), (1, 0, 0, 0), None,
         1.697, (-0.000648, -0.000166, 0.084487), (0.004622, 0.004495, 0.002079, 9e-6, 6e-5, 9e-6)),
    Link("shoulder_link", "base_link", (0, 0, 0.15643), _X_180, _joint(1),
         1.3773, (-2.3e-5, -0.010364, -0.07336), (0.00457, 0.004831, 0.001409, 1e-6, 2e-6, 0.000448)),
    Link("half_arm_1_link", "shoulder_link", (0, 0.005375, -0.12838), X_POS_90, _joint(2, 2.24),
         1.1636, (-4.4e-5, -0.09958, -0.013278), (0.011088, 0.001072, 0.011255, 5e-6, 0, -0.000691)),
    Link("half_arm_2_link", "half_arm_1_link", (0, -0.21038, -0.006375), X_NEG_90, _joint(3),
         1.1636, (-4.4e-5, -0.006641, -0.117892), (0.010932, 0.011127, 0.001043, 0, -7e-6, 0.000606)),
    Link("forearm_link", "half_arm_2_link", (0, 0.006375, -0.21038), X_POS_90, _joint(4, 2.57),
         0.9302, (-1.8e-5, -0.075478, -0.015006), (0.008147, 0.000631, 0.008316, -1e-6, 0, -0.0005)),
    Link("spherical_wrist_1_link", "forearm_link", (0, -0.20843, -0.006375), X_NEG_90, _joint(5),
         0.6781, (1e-6, -0.009432, -0.063883), (0.001596, 0.001607, 0.000399, 0, 0, 0.000256)),
    Link("spherical_wrist_2_link", "spherical_wrist_1_link", (0, 0.00017505, -0.10593), X_POS_90, _joint(6, 2.09),
         0.6781, (1e-6, -0.045483, -0.00965), (0.001641, 0.00041, 0.001641, 0, 0, -0.000278)),
    Link("bracelet_link", "spherical_wrist_2_link", (0, -0.10593, -0.00017505), X_NEG_90, _joint(7),
         0.364, (-9.3e-5, 0.000132, -0.022905), (0.000214, 0.000223, 0.00024, 0, 1e-6, -2e-6)),
    *robotiq.links("bracelet_link", (0, 0, -0.061525), _FLANGE_Z_90),
)

_R, _W = 0.0455, 0.0345
_SHAPES = (
    Shape("base_link", CYLINDER, (0.0465,), (0, 0, 0), (0, 0, 0.148), _WHITE),
    Shape("base_link", CYLINDER, (0.0478,), (0, 0, 0.0), (0, 0, 0.012), _RING),
    Shape("shoulder_link", CYLINDER, (0.0468,), (0, 0, -0.002), (0, 0, 0.008), _RING),
    Shape("shoulder_link", CYLINDER, (_R,), (0, 0, -0.128), (0, 0, -0.002), _WHITE),
    Shape("shoulder_link", CYLINDER, (_R,), (0, -0.045, -0.128), (0, 0.0, -0.128), _WHITE),
    Shape("shoulder_link", CYLINDER, (0.044,), (0, -0.049, -0.128), (0, -0.045, -0.128), _SILVER),
    Shape("half_arm_1_link", CYLINDER, (0.0468,), (0, 0, 0), (0, 0, -0.008), _RING),
    Shape("half_arm_1_link", CAPSULE, (_R,), (0, 0, -0.012), (0, -0.03, -0.008), _WHITE),
    Shape("half_arm_1_link", CYLINDER, (_R,), (0, -0.02, -0.006), (0, -0.203, -0.006), _WHITE),
    Shape("half_arm_2_link", CYLINDER, (0.0468,), (0, 0, -0.002), (0, 0, 0.008), _RING),
    Shape("half_arm_2_link", CYLINDER, (_R,), (0, 0, -0.21), (0, 0, -0.002), _WHITE),
    Shape("half_arm_2_link", CYLINDER, (_R,), (0, -0.045, -0.21), (0, 0.0, -0.21), _WHITE),
    Shape("half_arm_2_link", CYLINDER, (0.044,), (0, -0.049, -0.21), (0, -0.045, -0.21), _SILVER),
    Shape("forearm_link", CYLINDER, (0.0468,), (0, 0, 0), (0, 0, -0.008), _RING),
    Shape("forearm_link", CAPSULE, (_R,), (0, 0, -0.012), (0, -0.05, -0.008), _WHITE),
    Shape("forearm_link", CYLINDER, (0.041,), (0, -0.05, -0.006), (0, -0.15, -0.006), _WHITE),
    Shape("forearm_link", CYLINDER, (0.036,), (0, -0.15, -0.006), (0, -0.202, -0.006), _WHITE),
    Shape("spherical_wrist_1_link", CYLINDER, (0.0357,), (0, 0, -0.002), (0, 0, 0.006), _RING),
    Shape("spherical_wrist_1_link", CYLINDER, (_W,), (0, 0, -0.106), (0, 0, -0.002), _WHITE),
    Shape("spherical_wrist_1_link", CYLINDER, (_W,), (0, -0.048, -0.106), (0, 0, -0.106), _WHITE),
    Shape("spherical_wrist_1_link", CYLINDER, (0.033,), (0, -0.053, -0.106), (0, -0.048, -0.106), _SILVER),
    Shape("spherical_wrist_2_link", CYLINDER, (0.0357,), (0, 0, 0), (0, 0, -0.006), _RING),
    Shape("spherical_wrist_2_link", CAPSULE, (_W,), (0, 0, -0.015), (0, -0.03, -0.006), _WHITE),
    Shape("spherical_wrist_2_link", CYLINDER, (_W,), (0, -0.02, 0), (0, -0.1, 0), _WHITE),
    Shape("bracelet_link", CYLINDER, (0.0375,), (0, 0, -0.0615), (0, 0, -0.002), _WHITE),
    Shape("bracelet_link", CYLINDER, (0.0383,), (0, 0, -0.002), (0, 0, 0.005), _RING),
    Shape("bracelet_link", CYLINDER, (0.02,), (0, -0.045, -0.05), (0, -0.045, -0.03), _RING),
    *robotiq.SHAPES,
)
# fmt: on

GEN3 = RobotModel(
    name="gen3",
    title="Kinova Gen3, Robotiq 2F-85",
    body=Drawing(_LINKS, _SHAPES, robotiq.PADS, robotiq.GUARDS),
    joints=tuple(f"joint_{index}" for index in range(1, 8)),
    gripper=robotiq.GRIPPER,
    home_joints_rad=(-0.04918, 0.2639, -0.01847, 1.78166, 0.00541, 1.09608, 1.50131),
    workspace_low_m=(0.25, -0.25, 0.0),
    workspace_high_m=(0.53, 0.25, 0.36),
    tcp_from_hand_m=robotiq.TCP_FROM_FLANGE_M,
    control="torque",
    senses_wrench=True,
)
