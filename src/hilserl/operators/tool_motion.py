"""Conversion of the operator's motions, goals and hand positions to actions."""

from dataclasses import replace

import numpy as np

from hilserl.envs.env import Teleoperation
from hilserl.operators.device_merge import Readings

LEAD_M = 0.1
"""Longest way from a tool to a hand's goal, in metres.

A hand that goes on at the border of the workspace has no way back.
"""


class ToolMotion:
    """Motion of the tools as the operator asks for it.

    A tool follows a hand from where both are when the operator begins to drive with it, so it never jumps.

    Args:
        teleoperation: kinematics of the environment; without it a motion is the action, and goals and hands have no
            effect.
    """

    def __init__(self, teleoperation: Teleoperation | None) -> None:
        self._teleoperation = teleoperation
        self._offsets_m: dict[tuple[str, str], np.ndarray] = {}
        """Way from a hand to its goal, by device and arm."""

    def release(self) -> None:
        """Forget where hands and tools were."""
        self._offsets_m.clear()

    def follow(self, readings: Readings, arm: str, *, driven: bool) -> Readings:
        """Replace each hand's position by a goal of the tool.

        Args:
            readings: the readings of all devices.
            arm: name of the chosen arm, whose tool follows.
            driven: True if the operator drives; otherwise the hands lead nothing.
        """
        if self._teleoperation is None or not driven:
            self.release()
            return readings
        before, self._offsets_m = self._offsets_m, {}
        followed = []
        for device, reading in readings:
            if reading.present and reading.hand_m is not None:
                key, tool_m = (device.name, arm), self._teleoperation.tcp_positions_m[arm]
                lead_m = np.add(reading.hand_m, before[key]) - tool_m if key in before else np.zeros(3)
                lead_m *= min(1.0, LEAD_M / max(float(np.linalg.norm(lead_m)), LEAD_M))
                x, y, z = goal_m = tool_m + lead_m
                self._offsets_m[key] = goal_m - reading.hand_m
                reading = replace(reading, goal_m=(float(x), float(y), float(z)), goal_arm=arm)
            followed.append((device, reading))
        return followed

    def action(self, motion: np.ndarray, goal_m: tuple[float, float, float] | None, arm: str) -> tuple[float, ...]:
        """Return the continuous actions.

        Args:
            motion: motion along the world's axes.
            goal_m: goal of the chosen arm's tool, if any.
            arm: name of the chosen arm.
        """
        if self._teleoperation is None:
            return tuple(motion.tolist())
        action = np.array(self._teleoperation.world_to_action(tuple(motion.tolist())))
        if goal_m is not None:
            action += self._teleoperation.motion_towards(goal_m, arm)
        return tuple(action.tolist())
