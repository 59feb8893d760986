"""Arms that tests drive tick by tick, without processes and sockets."""

from typing import Any

import numpy as np

from hilserl.robot.control.backend import GripperKind
from hilserl.robot.control.driver import BaseArm
from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.drivers.franka.driver import FrankaArm
from hilserl.robot.drivers.sim.driver import SimArm
from hilserl.robot.drivers.sim.world import TICK_S, SimWorld
from hilserl.sim.robot_models.panda import HOME_JOINTS_RAD
from hilserl.tasks.pick_cube import PickCube

STILL = np.zeros(3)
"""Velocity of an arm that stands."""
COLLISION = ((20.0,) * 7, (25.0,) * 6)
"""Collision torques and forces of a Franka arm."""


def pose_at(x: float, y: float = 0.0, z: float = 0.3, quaternion: tuple[float, ...] = (1, 0, 0, 0)) -> np.ndarray:
    """Make a pose of the tool, which points down by default."""
    return np.array([x, y, z, *quaternion], dtype=float)


def sim_arm(
    gripper: GripperKind = "franka",
    limits: Limits | None = None,
    reset_joints_rad: tuple[float, ...] = HOME_JOINTS_RAD,
) -> SimArm:
    """Make a simulated arm before a cube."""
    return SimArm(SimWorld(PickCube()), Box(), limits or Limits(), gripper, reset_joints_rad)


def run(arm: BaseArm, seconds: float) -> None:
    """Tick an arm for a time on its own clock."""
    for _ in range(round(seconds / TICK_S)):
        arm.tick()


class FrankaBench:
    """Franka arm on the simulated pylibfranka, with all torques sent."""

    def __init__(self, **more: Any) -> None:
        given = {"robot_ip": "172.16.0.2", "reset_joints_rad": HOME_JOINTS_RAD, "hand": None, **more}
        self.arm = FrankaArm(box=Box(), limits=Limits(), collision=COLLISION, **given)
        self.robot = self.arm.connection.robot
        self.sent: list[list[float]] = []

    def run(self, seconds: float) -> None:
        """Tick the arm for a time on its own clock."""
        for _ in range(round(seconds / TICK_S)):
            self.arm.tick()
            self.sent.append(list(self.robot.commanded))

    def drive(self, goal: np.ndarray, seconds: float) -> None:
        """Command a pose ten times a second."""
        for _ in range(round(seconds * 10)):
            self.arm.command(goal)
            self.run(0.1)
