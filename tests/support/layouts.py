"""Action layouts for tests."""

from hilserl.data.spec import ActionLayout
from hilserl.sim.control import (
    POSE_MOVES,
    TRANSLATION,
    WRENCH_MOVES,
    ArmSetup,
    Impedance,
    PoseControl,
    WrenchControl,
    action_layout,
)

ACTION = action_layout((ArmSetup(),))
_SIX = PoseControl(POSE_MOVES, max_step_rad=0.1, max_turn_rad=(0.5, 0.5, 0.5))
_FULL = (10.0, 10.0, 10.0, 1.0, 1.0, 1.0)


def wrench(*moves: str) -> WrenchControl:
    """Return control by forces and torques."""
    return WrenchControl(moves, _FULL, (0.4, 0.0, 0.2), Impedance())


def two(control: PoseControl | WrenchControl, other: PoseControl | WrenchControl | None = None) -> ActionLayout:
    """Return the layout of a left and a right arm."""
    return action_layout((ArmSetup("left", control), ArmSetup("right", other or control)))


LAYOUTS = {
    "pick_cube": ACTION,
    "bare": action_layout((ArmSetup(has_gripper=False),)),
    "planar": action_layout((ArmSetup(control=wrench("tcp_fx", "tcp_fz", "tcp_ty"), has_gripper=False),)),
    "wrench": action_layout((ArmSetup(control=wrench(*WRENCH_MOVES)),)),
    "six": action_layout((ArmSetup(control=_SIX, has_gripper=False),)),
    "seven": action_layout((ArmSetup(control=_SIX),)),
    "two": two(PoseControl(TRANSLATION)),
    "fourteen": two(_SIX),
    "unlike": two(PoseControl(TRANSLATION), wrench("tcp_fx", "tcp_tz")),
}
"""Every kind of action."""
SEVEN, TWO = LAYOUTS["seven"], LAYOUTS["two"]
