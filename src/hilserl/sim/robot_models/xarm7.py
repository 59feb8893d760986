"""The UFACTORY xArm7 arm with the xArm Gripper.

Joint origins, limits, masses, inertias and the stiffness of the position servos are those published with the MuJoCo
Menagerie xArm7 (BSD-3-Clause). The servos' damping is about critical. The gripper's linkage keeps its pads parallel and
is reduced to two slides of 42.5 mm. Shells are fitted by eye.
"""

from hilserl.sim.robot_models.drawing import (
    BOX,
    CAPSULE,
    CYLINDER,
    HINGE,
    IDENTITY,
    X_NEG_90,
    X_POS_90,
    Drawing,
    Guard,
    Joint,
    Link,
    Rgba,
    Shape,
    SlidingFingers,
)
from hilserl.sim.robot_models.model import RobotModel, Servo

_TURN = 6.28319
_TCP_FROM_HAND_M = 0.18
"""Distance of the tool's point, 1 cm above the fingertips."""
_FINGERS = SlidingFingers(0.0425, force_n=60.0, damping_n_s_per_m=200.0)
_EFFORT = (50.0, 50.0, 30.0, 30.0, 30.0, 20.0, 20.0)
_DAMPING = (10.0, 10.0, 5.0, 5.0, 5.0, 2.0, 2.0)

_WHITE: Rgba = (0.94, 0.94, 0.94, 1.0)
_GREY: Rgba = (0.70, 0.71, 0.72, 1.0)
_BLACK: Rgba = (0.17, 0.17, 0.18, 1.0)


def _joint(index: int, low: float = -_TURN, high: float = _TURN) -> Joint:
    return Joint(f"joint{index}", HINGE, (low, high), 0.1, _DAMPING[index - 1], _EFFORT[index - 1])


# fmt: off
_FINGER = (0.105, (0.0, 0.02, 0.01), (6.0e-5, 5.0e-5, 2.0e-5, 0.0, 0.0, 0.0))
_LINKS = (
    Link("link_base", "world", (0, 0, 0), IDENTITY, None,
         0.88556, (-0.021131, -0.0016302, 0.056488),
         (0.0030595, 0.0037783, 0.0020125, 0.00012259, -0.000627047, 0.000270229)),
    Link("link1", "link_base", (0, 0, 0.267), IDENTITY, _joint(1),
         2.382, (-0.0002, 0.02905, -0.01233), (0.0056905, 0.0049566, 0.00331666, -1.579e-5, 5.125e-6, -0.000873381)),
    Link("link2", "link1", (0, 0, 0), X_NEG_90, _joint(2, -2.059, 2.0944),
         1.869, (0.00022, -0.12856, 0.01735), (0.0095989, 0.00382472, 0.00756567, 1.541e-6, 5.56e-6, -0.00317156)),
    Link("link3", "link2", (0, -0.293, 0), X_POS_90, _joint(3),
         1.6383, (0.0466, -0.02463, -0.00768),
         (0.00310955, 0.00264483, 0.0026624, 0.000308371, -0.000584528, 0.000338895)),
    Link("link4", "link3", (0.0525, 0, 0), X_POS_90, _joint(4, -0.19198, 3.927),
         1.7269, (0.07047, -0.11575, 0.012), (0.005889, 0.00359703, 0.00543245, 0.00137112, 0.00088143, -0.00176215)),
    Link("link5", "link4", (0.0775, -0.3425, 0), X_POS_90, _joint(5),
         1.3203, (-0.00032, 0.01604, -0.026), (0.00534665, 0.0049779, 0.0013624, 1.51168e-5, -3.69e-7, -0.00022132)),
    Link("link6", "link5", (0, 0, 0), X_POS_90, _joint(6, -1.69297, 3.14159),
         1.325, (0.06469, 0.03278, 0.02141), (0.0014745, 0.0019037, 0.0023652, -0.000487998, 0.000295301, 0.00014749)),
    Link("link7", "link6", (0.076, 0.097, 0), X_NEG_90, _joint(7),
         0.17, (0, -0.00677, -0.01098), (9.3e-5, 5.87e-5, 0.000132, 0, 0, -3.6e-6)),
    Link("hand", "link7", (0, 0, 0), IDENTITY, None,
         0.54156, (0.00065489, 0.0018497, 0.048028),
         (0.00047106, 0.00033072, 0.00025642, 3.93e-7, -2.6537e-6, 1.0975e-5)),
    *_FINGERS.links(0.11, *_FINGER),
)

_R = 0.0475
_SHAPES = (
    Shape("link_base", CYLINDER, (0.063,), (0, 0, 0), (0, 0, 0.02), _GREY),
    Shape("link_base", CYLINDER, (0.056,), (0, 0, 0.02), (0, 0, 0.11), _WHITE),
    Shape("link_base", BOX, (0.03, 0.035, 0.04), (-0.06, 0, 0.045), None, _WHITE),
    Shape("link_base", CYLINDER, (0.05,), (0, 0, 0.11), (0, 0, 0.155), _WHITE),
    # Shoulder: an elbow from the vertical axis to one along y.
    Shape("link1", CYLINDER, (0.049,), (0, 0, -0.112), (0, 0, -0.104), _GREY),
    Shape("link1", CYLINDER, (_R,), (0, 0, -0.104), (0, 0, -0.02), _WHITE),
    Shape("link1", CAPSULE, (_R,), (0, 0, -0.02), (0, 0.02, 0), _WHITE),
    Shape("link1", CYLINDER, (_R,), (0, 0, 0), (0, 0.068, 0), _WHITE),
    Shape("link1", CYLINDER, (0.0485,), (0, 0.068, 0), (0, 0.074, 0), _GREY),
    Shape("link2", CYLINDER, (_R,), (0, 0, 0.074), (0, 0, 0.1), _WHITE),
    Shape("link2", CAPSULE, (0.045,), (0, -0.005, 0.075), (0, -0.1, 0.02), _WHITE),
    Shape("link2", CYLINDER, (0.044,), (0, -0.1, 0), (0, -0.186, 0), _WHITE),
    Shape("link2", CYLINDER, (0.0455,), (0, -0.186, 0), (0, -0.192, 0), _GREY),
    # Elbow: 5.25 cm forward, the forearm 7.75 cm further.
    Shape("link3", CYLINDER, (0.0425,), (0, 0, -0.101), (0, 0, -0.02), _WHITE),
    Shape("link3", CAPSULE, (0.0425,), (0, 0, -0.025), (0.0525, 0, 0), _WHITE),
    Shape("link3", CYLINDER, (0.0425,), (0.0525, 0, 0), (0.0525, 0.062, 0), _WHITE),
    Shape("link3", CYLINDER, (0.0435,), (0.0525, 0.062, 0), (0.0525, 0.068, 0), _GREY),
    Shape("link4", CYLINDER, (0.0425,), (0, 0, 0.068), (0, 0, 0.09), _WHITE),
    Shape("link4", CAPSULE, (0.04,), (0, -0.005, 0.068), (0.0775, -0.09, 0.01), _WHITE),
    Shape("link4", CYLINDER, (0.041,), (0.0775, -0.09, 0), (0.0775, -0.164, 0), _WHITE),
    Shape("link4", CYLINDER, (0.0425,), (0.0775, -0.164, 0), (0.0775, -0.17, 0), _GREY),
    Shape("link5", CYLINDER, (0.041,), (0, 0, -0.172), (0, 0, -0.09), _WHITE),
    Shape("link5", CAPSULE, (0.0385,), (0, 0, -0.09), (0, 0.03, -0.01), _WHITE),
    Shape("link5", CYLINDER, (0.0375,), (0, 0.02, 0), (0, 0.08, 0), _WHITE),
    Shape("link5", CYLINDER, (0.0385,), (0, 0.036, 0), (0, 0.041, 0), _GREY),
    Shape("link6", CYLINDER, (0.037,), (0, 0, -0.036), (0, 0, 0.05), _WHITE),
    Shape("link6", CAPSULE, (0.035,), (0.01, 0, 0.02), (0.076, 0.025, 0), _WHITE),
    Shape("link6", CYLINDER, (0.0365,), (0.076, 0.01, 0), (0.076, 0.069, 0), _WHITE),
    Shape("link7", CYLINDER, (0.0375,), (0, 0, -0.028), (0, 0, 0), _GREY),
    Shape("hand", CYLINDER, (0.037,), (0, 0, 0), (0, 0, 0.03), _WHITE),
    Shape("hand", BOX, (0.028, 0.05, 0.03), (0, 0, 0.056), None, _WHITE),
    Shape("hand", BOX, (0.02, 0.046, 0.012), (0, 0, 0.092), None, _GREY),
    *(shape for side in ("left_finger", "right_finger") for shape in (
        Shape(side, CAPSULE, (0.008,), (0, 0.02, -0.04), (0, 0.036, 0.002), _BLACK),
        Shape(side, CAPSULE, (0.008,), (0, 0.036, 0.002), (0, 0.02, 0.03), _BLACK),
        Shape(side, BOX, (0.0155, 0.006, 0.022), (0, 0.0135, 0.059), None, _BLACK),
    )),
)
# fmt: on
_PADS = _FINGERS.pads((0, 0.004, 0.062), (0.015, 0.004, 0.018))

XARM7 = RobotModel(
    name="xarm7",
    title="UFACTORY xArm7, xArm Gripper",
    body=Drawing(_LINKS, _SHAPES, _PADS, (Guard("hand", (0, 0, 0.06), (0.03, 0.05, 0.045)),)),
    joints=tuple(f"joint{index}" for index in range(1, 8)),
    gripper=_FINGERS.gripper,
    home_joints_rad=(0, -0.24032, 0, 0.88672, 0, 1.12704, 0),
    workspace_low_m=(0.25, -0.25, 0.0),
    workspace_high_m=(0.55, 0.25, 0.35),
    tcp_from_hand_m=_TCP_FROM_HAND_M,
    servo=Servo(
        stiffness=(1500, 1500, 1000, 1000, 1000, 800, 800),
        damping=(80, 80, 50, 50, 40, 20, 20),
        torque=_EFFORT,
        speed_rad_per_s=(3.14,) * 7,
    ),
)
