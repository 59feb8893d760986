"""Gripper of LeRobot's arms, told in a part of its range."""

import numpy as np
from typing_extensions import override

from hilserl.lerobot.joints import GripperMap
from hilserl.robot.control.backend import GripperVerb
from hilserl.robot.control.driver import GripperDriver
from hilserl.sim.robot_models.model import RobotModel

_FULL = 255.0
_SLOW_PER_S = 0.4
"""Part of the range in a second of a slow closing."""


class ServoGripper(GripperDriver):
    """Gripper whose servo takes positions.

    Its position is the measured gap as a part of the description's opening, as in the simulation.

    Args:
        robot: description, whose finger joint's range is the servo's.
        numbers: LeRobot's numbers for the range.
    """

    def __init__(self, robot: RobotModel, numbers: GripperMap) -> None:
        self._gripper, self._numbers = robot.gripper, numbers
        low, high = robot.spec().compile().joint(robot.gripper.joints[0]).range.tolist()
        closes_low = abs(robot.gripper.closed - low) < abs(robot.gripper.closed - high)
        self._closed_end, self._open_end = (low, high) if closes_low else (high, low)
        self._opened = self._part_of(robot.gripper.opened)
        self._part = self._goal = self._command = 0.0
        self._per_s = np.inf
        self._is_started = False

    @property
    def key(self) -> str:
        """LeRobot's key."""
        return self._numbers.key

    def _part_of(self, finger: float) -> float:
        """Return the open part of the range at a finger's position."""
        return (finger - self._closed_end) / (self._open_end - self._closed_end)

    def measure(self, number: float) -> None:
        """Take LeRobot's measured number; the first one is the first command."""
        self._part = self._numbers.part(number)
        if not self._is_started:
            self._goal = self._command = self._part
            self._is_started = True

    @property
    @override
    def position(self) -> float:
        finger = self._closed_end + self._part * (self._open_end - self._closed_end)
        gap_m = self._gripper.gap_m(np.full(len(self._gripper.joints), finger))
        return float(np.clip(gap_m / self._gripper.opening_m, 0.0, 1.0))

    @override
    def do(self, verb: GripperVerb) -> None:
        if verb == "open":
            self._go(self._opened, np.inf)
        elif verb in ("close", "close_slow"):
            self._go(0.0, _SLOW_PER_S if verb == "close_slow" else np.inf)

    @override
    def move(self, position: float) -> None:
        self._go(float(np.clip(position / _FULL, 0.0, 1.0)), np.inf)

    def _go(self, part: float, per_s: float) -> None:
        self._goal, self._per_s = part, per_s

    def goal(self, dt_s: float) -> dict[str, float]:
        """Move the command towards its goal; return it in LeRobot's number."""
        step = self._per_s * dt_s
        self._command += min(max(self._goal - self._command, -step), step)
        return {self._numbers.key: self._numbers.number(self._command)}
