"""Joint-space control: hold still or move to the reset posture."""

from typing import NamedTuple

import numpy as np

from hilserl.errors import HilserlError

_STIFFNESS_NM_PER_RAD = np.array([600.0, 600.0, 600.0, 600.0, 250.0, 150.0, 50.0])
_DAMPING_NMS_PER_RAD = np.array([50.0, 50.0, 50.0, 50.0, 30.0, 25.0, 15.0])
"""Gains of Franka's joint impedance example (`franka_example_controllers`), in order of magnitude."""
_SPEED_RAD_PER_S = 0.5
_ARRIVED_RAD = 0.01
_GIVE_UP_S = 5.0


class JointLimits(NamedTuple):
    """Limits of the seven joints, each float64 [7]."""

    low_rad: np.ndarray
    """Smallest angles."""
    high_rad: np.ndarray
    """Largest angles."""
    torque_Nm: np.ndarray  # noqa: N815 (a unit)
    """Largest torques."""


class JointDrive:
    """Drive that holds seven joints or moves them to the reset posture.

    No other torque may act on the joints meanwhile.

    Args:
        limits: limits of the joints.
        reset_rad: the reset posture.

    Raises:
        HilserlError: the reset posture is outside the limits.
    """

    def __init__(self, limits: JointLimits, reset_rad: tuple[float, ...]) -> None:
        low, high, self._limit = limits
        target = np.array(reset_rad, dtype=float)
        if target.shape != low.shape or not ((target > low) & (target < high)).all():
            raise HilserlError(
                f"Invalid reset posture {reset_rad} rad: expected {len(low)} numbers between {low.tolist()} and "
                f"{high.tolist()}."
            )
        self._reset = self._start = self._goal = target
        self._begun_s = 0.0
        self._moving = False
        self.torque_Nm = np.zeros(len(low))

    def hold(self, q: np.ndarray) -> None:
        """Hold the joints at angles."""
        self._start = self._goal = q.copy()
        self._moving = False

    def start_reset(self, q: np.ndarray, now_s: float) -> None:
        """Start moving all joints together to the reset posture."""
        self._start, self._goal, self._begun_s, self._moving = q.copy(), self._reset, now_s, True

    def tick(self, q: np.ndarray, dq: np.ndarray, now_s: float) -> bool:
        """Set `torque_Nm` for this tick.

        Returns:
            True if a motion ends now: it has arrived, or it takes too long.
        """
        duration = max(float(np.abs(self._goal - self._start).max()) / _SPEED_RAD_PER_S, 1e-3)
        elapsed_s = now_s - self._begun_s
        part = np.clip(elapsed_s / duration, 0.0, 1.0) if self._moving else 1.0
        target = self._start + (self._goal - self._start) * (part * part * (3 - 2 * part))
        torque = _STIFFNESS_NM_PER_RAD * (target - q) - _DAMPING_NMS_PER_RAD * dq
        self.torque_Nm = np.clip(torque, -self._limit, self._limit)
        if not self._moving:
            return False
        arrived = bool(part == 1.0 and np.abs(q - self._goal).max() < _ARRIVED_RAD)
        self._moving = not (arrived or elapsed_s > duration + _GIVE_UP_S)
        return not self._moving
