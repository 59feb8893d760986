"""The Robotiq 2F-85 gripper, in its flange's frame.

Its linkage keeps the pads parallel. Here it is reduced to that: two slides of 42.5 mm. Masses are those published with
the MuJoCo Menagerie model (BSD-2-Clause), sizes of the pads as well.
"""

from hilserl.sim.robot_models.drawing import (
    BOX,
    CAPSULE,
    CYLINDER,
    IDENTITY,
    SLIDE,
    Y_AXIS,
    Z_180,
    Guard,
    Joint,
    Link,
    Pad,
    Rgba,
    Shape,
)
from hilserl.sim.robot_models.model import Gripper

TCP_FROM_FLANGE_M = 0.1638
"""Distance of the tool's point, 1 cm above the fingertips."""
TRAVEL_M = 0.0425
_FORCE_N, _STIFFNESS_N_PER_M = 120.0, 8000.0

_BLACK: Rgba = (0.15, 0.15, 0.16, 1.0)
_GREY: Rgba = (0.46, 0.46, 0.47, 1.0)
_FINGER = (0.0626, (0.0, 0.018, 0.015), (5.0e-5, 4.5e-5, 1.2e-5, 0.0, 0.0, 0.0))


def links(parent: str, pos: tuple[float, float, float], quat: tuple[float, float, float, float]) -> tuple[Link, ...]:
    """Return the gripper's links, mounted on a parent."""
    return (
        Link("hand", parent, pos, quat, None, 0.9274, (0, 0, 0.04), (5.2e-4, 5.2e-4, 3.0e-4, 0, 0, 0)),
        Link("left_finger", "hand", (0, 0, 0.1), IDENTITY, _joint("finger_joint1"), *_FINGER),
        Link("right_finger", "hand", (0, 0, 0.1), Z_180, _joint("finger_joint2"), *_FINGER),
    )


def _joint(name: str) -> Joint:
    """Return a finger's slide, which closes at about 0.15 m/s."""
    return Joint(name, SLIDE, (0.0, TRAVEL_M), 2.0, 400.0, None, Y_AXIS)


# fmt: off
SHAPES = (
    Shape("hand", CYLINDER, (0.0375,), (0, 0, 0), (0, 0, 0.014), _GREY),
    Shape("hand", CYLINDER, (0.0365,), (0, 0, 0.014), (0, 0, 0.07), _BLACK),
    Shape("hand", BOX, (0.0135, 0.052, 0.02), (0, 0, 0.076), None, _BLACK),
    Shape("hand", BOX, (0.02, 0.03, 0.012), (0, 0, 0.09), None, _GREY),
    *(shape for side in ("left_finger", "right_finger") for shape in (
        Shape(side, CAPSULE, (0.0085,), (0, 0.017, -0.028), (0, 0.033, 0.012), _GREY),
        Shape(side, CAPSULE, (0.0085,), (0, 0.033, 0.012), (0, 0.018, 0.04), _BLACK),
        Shape(side, BOX, (0.0125, 0.006, 0.022), (0, 0.0135, 0.054), None, _BLACK),
    )),
)
# fmt: on
PADS = (
    Pad("left_pad", "left_finger", (0, 0.004, 0.0558), (0.011, 0.004, 0.018)),
    Pad("right_pad", "right_finger", (0, 0.004, 0.0558), (0.011, 0.004, 0.018)),
)
GUARDS = (Guard("hand", (0, 0, 0.06), (0.035, 0.045, 0.04)),)
GRIPPER = Gripper(
    ("finger_joint1", "finger_joint2"),
    opened=TRAVEL_M,
    full_grip=-_FORCE_N / _STIFFNESS_N_PER_M,
    opening_m=2 * TRAVEL_M,
    stiffness=_STIFFNESS_N_PER_M,
    force=_FORCE_N,
)
