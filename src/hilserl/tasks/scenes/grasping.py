"""Grasping: the part of a script that takes a body."""

import math

import numpy as np

from hilserl.sim.arm import GRIPPER_CLOSED, GRIPPER_OPEN
from hilserl.sim.environment import towards
from hilserl.sim.quaternions import rotate
from hilserl.sim.simulation import Simulation

_HOVER_M, _ALIGNED_M, _LEVEL_M, _ALIGNED_RAD = 0.06, 0.008, 0.01, 0.12


def grasp(sim: Simulation, body: str, *, turns: bool) -> np.ndarray:
    """Compute the way to a body until both fingers hold it.

    Args:
        sim: The simulation.
        body: The body's full name.
        turns: True if the action turns the tool about z, so that the fingers lie along the body's sides.

    Returns:
        The arm's way, as `expert` returns it.
    """
    arm, place = sim.arm, sim.position_m(body)
    tool = arm.tcp_position_m
    half = sim.half_size_m(body)
    place = place + np.array([0.0, 0.0, max(0.0, float(half[2]) - 0.02)])
    sideways = float(np.linalg.norm((place - tool)[:2]))
    goal_wxyz, off_rad = _along(sim, body) if turns else (None, 0.0)
    if arm.gripper_command == GRIPPER_CLOSED:
        still_closing = arm.gripper_width_m > 2 * float(half[:2].min()) - 0.004 and sideways < 0.025
        return towards(arm, tool, GRIPPER_CLOSED if still_closing else GRIPPER_OPEN, goal_wxyz)
    if sideways < _ALIGNED_M and abs(tool[2] - place[2]) < _LEVEL_M and off_rad < _ALIGNED_RAD:
        return towards(arm, tool, GRIPPER_CLOSED, goal_wxyz)
    # Come down only as fast as the tool gets over the body, so that the fingers never push it.
    height = float(np.clip(4.0 * (sideways - _ALIGNED_M) + 0.2 * (off_rad - _ALIGNED_RAD), 0.0, _HOVER_M))
    goal = place + np.array([0.0, 0.0, height])
    if tool[2] < place[2] + 0.8 * height:
        goal[:2] = tool[:2]
    return towards(arm, goal, 0.0 if arm.is_open else GRIPPER_OPEN, goal_wxyz)


def _along(sim: Simulation, body: str) -> tuple[np.ndarray, float]:
    """Return an orientation along the body's sides, and its turn."""
    half, axes = sim.half_size_m(body), sim.data.body(body).xmat.reshape(3, 3)
    narrow = axes[:, int(half[:2].argmin())]
    fingers = sim.arm.finger_axis
    nominal = np.array(sim.arm.setup.tool_wxyz)
    wanted = math.atan2(narrow[1], narrow[0]) - math.pi / 2
    present = math.atan2(fingers[1], fingers[0]) - math.pi / 2
    wanted, present = (math.remainder(angle - sim.arm.setup.base_yaw_rad, math.pi) for angle in (wanted, present))
    return rotate(nominal, np.array([0.0, 0.0, wanted])), abs(math.remainder(wanted - present, math.pi))
