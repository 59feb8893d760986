"""Joint-space control of an arm: holding still, and going to the reset posture."""

from typing import NamedTuple

import numpy as np

from hilserl.errors import HilserlError

_STIFFNESS_NM_PER_RAD = np.array([600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0])
_DAMPING_NMS_PER_RAD = np.array([50.0, 50.0, 50.0, 50.0, 30.0, 25.0, 15.0])
"""Of Franka's own joint impedance example; `franka_example_controllers` gives these orders of magnitude."""
_SPEED_RAD_PER_S = 0.5
_ARRIVED_RAD = 0.01
_GIVE_UP_S = 5.0


class JointLimits(NamedTuple):
    """Of the seven joints, each float64 [7]."""

    low_rad: np.ndarray
    high_rad: np.ndarray
    torque_Nm: np.ndarray  # noqa: N815 (a unit)


class JointDrive:
    """Torques that pull the seven joints along; nothing else may pull at them meanwhile."""

    def __init__(self, limits: JointLimits, reset_rad: tuple[float, ...]) -> None:
        low, high, self._limit = limits
        target = np.array(reset_rad, dtype=float)
        if target.shape != low.shape or not ((target > low) & (target < high)).all():
            raise HilserlError(
                f"The reset posture {reset_rad} rad: expected {len(low)} numbers between {low.tolist()} and "
                f"{high.tolist()}."
            )
        self._reset = self._start = self._goal = target
        self._begun_s = 0.0
        self._moving = False
        self.torque_Nm = np.zeros(len(low))

    def hold(self, q: np.ndarray) -> None:
        self._start = self._goal = q.copy()
        self._moving = False

    def go(self, q: np.ndarray, now_s: float) -> None:
        """To the reset posture, all joints together."""
        self._start, self._goal, self._begun_s, self._moving = q.copy(), self._reset, now_s, True

    def tick(self, q: np.ndarray, dq: np.ndarray, now_s: float) -> bool:
        """Sets `torque_Nm`; returns whether a motion ends now, be it that it got there or that it cannot."""
        duration = max(float(np.abs(self._goal - self._start).max()) / _SPEED_RAD_PER_S, 1e-3)
        passed = now_s - self._begun_s
        part = np.clip(passed / duration, 0.0, 1.0) if self._moving else 1.0
        wanted = self._start + (self._goal - self._start) * (part * part * (3 - 2 * part))
        torque = _STIFFNESS_NM_PER_RAD * (wanted - q) - _DAMPING_NMS_PER_RAD * dq
        self.torque_Nm = np.clip(torque, -self._limit, self._limit)
        if not self._moving:
            return False
        arrived = bool(part == 1.0 and np.abs(q - self._goal).max() < _ARRIVED_RAD)
        self._moving = not (arrived or passed > duration + _GIVE_UP_S)
        return not self._moving
