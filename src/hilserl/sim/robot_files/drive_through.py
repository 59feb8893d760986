"""Driving a robot's tool through its workspace in simulation."""

import itertools
from typing import NamedTuple

import numpy as np

from hilserl.sim.control import ArmSetup
from hilserl.sim.quaternions import turn_between
from hilserl.sim.robot_models.model import TURNS, RobotModel, Vec3
from hilserl.sim.scene import CameraView, world
from hilserl.sim.simulation import Simulation

_CONTROL_DT_S = 0.1
_STEP_M, _SETTLING_STEPS, _ABOVE_TABLE_M = 0.03, 10, 0.015
_NEAR_M, _NEAR_RAD = 0.01, 0.1


class Miss(NamedTuple):
    """A corner of the workspace that the tool does not reach."""

    corner_m: Vec3
    """The corner (base frame)."""
    distance_m: float
    """Distance that is left."""
    turn_rad: float
    """Turn from the nominal orientation that is left."""


def drive_through(robot: RobotModel) -> list[Miss]:
    """Drive the tool from home to every corner of the workspace.

    Returns:
        The corners that it misses by more than 1 cm, or 0.1 rad.

    Raises:
        HilserlError: The tool does not come to its home.
    """
    setup = ArmSetup(robot=robot)
    simulation = Simulation(world((setup,), ()), _CONTROL_DT_S, (setup,))
    low, high = np.array(robot.workspace_low_m), np.array(robot.workspace_high_m)
    low[2] += _ABOVE_TABLE_M
    misses: list[Miss] = []
    for corner in itertools.product(*zip(low, high, strict=True)):
        simulation.restart()
        distance_m, turn_rad = _drive_to(simulation, np.array(corner))
        if distance_m > _NEAR_M or (turn_rad > _NEAR_RAD and robot.turns == TURNS):
            x, y, z = np.round(corner, 3).tolist()
            misses.append(Miss((x, y, z), distance_m, turn_rad))
    return misses


def _drive_to(simulation: Simulation, goal_m: np.ndarray) -> tuple[float, float]:
    """Drive the tool to a point; return the missing m and rad."""
    arm = simulation.arm
    nominal = np.array(arm.setup.tool_wxyz)
    steps = int(np.linalg.norm(goal_m - arm.tcp_position_m) / _STEP_M) + _SETTLING_STEPS
    for _ in range(steps):
        way = goal_m - arm.tcp_position_m
        arm.command(arm.tcp_position_m + way * min(1.0, _STEP_M / max(1e-9, float(np.linalg.norm(way)))), nominal)
        simulation.advance()
    turn = turn_between(arm.tcp_quaternion_wxyz, nominal)
    return float(np.linalg.norm(goal_m - arm.tcp_position_m)), float(np.linalg.norm(turn))


def four_sides(robot: RobotModel) -> tuple[CameraView, ...]:
    """Return cameras that see the robot at home from four sides."""
    setup = ArmSetup(robot=robot)
    simulation = Simulation(world((setup,), ()), _CONTROL_DT_S, (setup,))
    simulation.restart()
    positions = simulation.data.xpos[2 if simulation.model.nbody > 2 else 1 :]
    low, high = positions.min(axis=0), positions.max(axis=0)
    low[2] = 0.0
    centre, size = (low + high) / 2, float(np.linalg.norm(high - low)) + 0.1
    angles_rad = np.deg2rad((-40.0, 40.0, 130.0, -90.0))
    return tuple(
        CameraView(
            f"side_{number}",
            tuple((centre + 1.55 * size * np.array([0.92 * np.cos(at), 0.92 * np.sin(at), 0.38])).tolist()),
            tuple(centre.tolist()),
            40.0,
        )
        for number, at in enumerate(angles_rad)
    )
