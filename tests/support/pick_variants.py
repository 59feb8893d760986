"""Variants of pick_cube with other controls."""

from hilserl.sim.control import POSE_MOVES, WRENCH_MOVES, ArmSetup, Impedance, PoseControl, WrenchControl
from hilserl.sim.scene import FRONT, OVERVIEW
from hilserl.tasks.pick_cube import PickCube

SIX = PoseControl(POSE_MOVES, max_step_rad=0.1, max_turn_rad=(0.5, 0.5, 0.5))
_WEAK = Impedance((100.0, 100.0, 100.0, 5.0, 5.0, 5.0), (40.0, 40.0, 40.0, 2.0, 2.0, 2.0))
_WRENCH = WrenchControl(WRENCH_MOVES, (10.0, 10.0, 10.0, 1.0, 1.0, 1.0), (0.4, 0.0, 0.2), _WEAK)


class TurningPickCube(PickCube):
    """One arm that moves and turns along all six axes."""

    arms = (ArmSetup(control=SIX),)


class PressingPickCube(PickCube):
    """One arm that exerts forces and torques along all six axes."""

    arms = (ArmSetup(control=_WRENCH),)


class TwoArmPickCube(PickCube):
    """Two arms that move and turn along all six axes."""

    arms = (
        ArmSetup("left", SIX, workspace_low_m=(0.2, 0.05, 0.0), workspace_high_m=(0.6, 0.6, 0.5), base_m=(0, 0.35, 0)),
        ArmSetup("right", SIX, workspace_low_m=(0.2, -0.6, 0.0), base_m=(0, -0.35, 0)),
    )
    views = (FRONT, OVERVIEW)
    cameras = (FRONT.name,)
