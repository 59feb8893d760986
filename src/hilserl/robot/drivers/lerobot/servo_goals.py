"""Goals of an arm's position servos."""

import numpy as np

_SAG_PER_S = 2.0
_MOST_SAG_RAD = 0.06
_STANDING_RAD_PER_S = 0.1
_LARGE_RAD = 0.05
"""Error that is a way still to go, not a sag."""
_DEAD_RAD = 0.003
"""Error without effect, about the backlash of a geared servo's last stage. Without it the servo would hunt."""
_RESET_RAD_PER_S = 0.5
_ARRIVED_RAD = 0.03
_GIVE_UP_S = 5.0


class SagCompensation:
    """Offset of the servos' goals that makes up for loads and backlash.

    A servo without an integral stands away from its goal under the arm's weight. The next pose is told relative to the
    measured one, so the arm would sink with every pose. The offset grows with the error of a joint that stands, up to
    0.06 rad, and stays when the goal changes.

    Args:
        wanted: wanted joints at the start, float64 [n] in rad.
    """

    def __init__(self, wanted: np.ndarray) -> None:
        self.offset_rad, self._wanted = np.zeros_like(wanted), wanted

    def update(self, wanted: np.ndarray, q: np.ndarray, dq: np.ndarray, dt_s: float) -> None:
        """Take the wanted and the measured joints of a tick."""
        error, moved = wanted - q, np.abs(wanted - self._wanted)
        self._wanted = wanted
        most = _STANDING_RAD_PER_S
        stands = (np.abs(dq) < most) & (moved <= most * dt_s) & (np.abs(error) < _LARGE_RAD)
        grown = self.offset_rad + _SAG_PER_S * dt_s * error
        grows = stands & (np.abs(error) > _DEAD_RAD)
        self.offset_rad = np.where(grows, np.clip(grown, -_MOST_SAG_RAD, _MOST_SAG_RAD), self.offset_rad)


class JointWalk:
    """Walk of all joints together to a posture, with soft ends.

    Args:
        start: joints at the start, float64 [n] in rad.
        goal: joints at the end, float64 [n] in rad.
        now_s: time of the start.
    """

    def __init__(self, start: np.ndarray, goal: np.ndarray, now_s: float) -> None:
        self._start, self._goal, self._begun_s = start, goal, now_s
        # The smooth step is at most 1.5 times as fast as the mean.
        self._lasts_s = max(1.5 * float(np.abs(goal - start).max()) / _RESET_RAD_PER_S, 1e-3)

    def joints(self, now_s: float) -> np.ndarray:
        """Return the joints at a time, float64 [n]."""
        part = float(np.clip((now_s - self._begun_s) / self._lasts_s, 0.0, 1.0))
        return self._start + (self._goal - self._start) * (part * part * (3 - 2 * part))

    def is_over(self, q: np.ndarray, now_s: float) -> bool:
        """True if measured joints have arrived, or it takes too long."""
        late_s = now_s - self._begun_s - self._lasts_s
        arrived = bool(np.abs(q - self._goal).max() < _ARRIVED_RAD)
        return late_s > _GIVE_UP_S or (late_s > 0 and arrived)
