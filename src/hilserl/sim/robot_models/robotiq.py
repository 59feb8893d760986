"""The Robotiq 2F-85 gripper, in its flange's frame.

Its linkage keeps the pads parallel. Here it is reduced to that: two slides of 42.5 mm. Masses are those published with
the MuJoCo Menagerie model (BSD-2-Clause), sizes of the pads as well.
"""

from hilserl.sim.robot_models.drawing import (
    BOX,
    CAPSULE,
    CYLINDER,
    Guard,
    Link,
    Rgba,
    Shape,
    SlidingFingers,
)

TCP_FROM_FLANGE_M = 0.1638
"""Distance of the tool's point, 1 cm above the fingertips."""
_FINGERS = SlidingFingers(0.0425, force_n=120.0, damping_n_s_per_m=400.0)
"""Fingers that close at about 0.15 m/s."""

_BLACK: Rgba = (0.15, 0.15, 0.16, 1.0)
_GREY: Rgba = (0.46, 0.46, 0.47, 1.0)
_FINGER = (0.0626, (0.0, 0.018, 0.015), (5.0e-5, 4.5e-5, 1.2e-5, 0.0, 0.0, 0.0))


def links(parent: str, pos: tuple[float, float, float], quat: tuple[float, float, float, float]) -> tuple[Link, ...]:
    """Return the gripper's links, mounted on a parent."""
    return (
        Link("hand", parent, pos, quat, None, 0.9274, (0, 0, 0.04), (5.2e-4, 5.2e-4, 3.0e-4, 0, 0, 0)),
        *_FINGERS.links(0.1, *_FINGER),
    )


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
PADS = _FINGERS.pads((0, 0.004, 0.0558), (0.011, 0.004, 0.018))
GUARDS = (Guard("hand", (0, 0, 0.06), (0.035, 0.045, 0.04)),)
GRIPPER = _FINGERS.gripper
