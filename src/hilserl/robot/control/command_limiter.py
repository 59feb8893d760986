"""Limiter of commanded poses, in the loop that drives the arm.

It has no clock, thread or socket: the loop passes the time in, so tests in simulated time prove the real behaviour.
"""

import math

import numpy as np

from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import Pose, angle_rad, turned_towards

_STANDING_M_PER_S = 0.01
_MAX_BRAKING_S = 0.3
_ARRIVED_M, _ARRIVED_RAD = 0.01, 0.1
"""Distance from the commanded pose at which the tool counts as there."""
_LOOK_AHEAD_S = 0.04
"""Time in which a braked arm comes to a stop."""


class CommandLimiter:
    """Converter of commanded poses into safe set points.

    Set points stay within the box and the speed limits.

    Moving the set point spends two allowances, one of metres and one of radians. Time refills them, up to one full
    step. So short steps pass unchanged, long ones are walked, and even a dense stream of commands never exceeds the
    speed limit.

    The limiter brakes the arm when its client goes silent, and when the arm would leave the box. While it brakes, the
    set point lies behind the arm by `brake_s` times its velocity, which adds stiffness times `brake_s` to the damping.

    Args:
        box: region of the set points.
        limits: step, speed and watchdog limits.
        pose: measured pose of the arm.
        brake_s: strength of the braking; it needs a measured velocity without delay. 0 leaves the braking to the
            controller's own damping.
    """

    def __init__(self, box: Box, limits: Limits, pose: Pose, brake_s: float) -> None:
        self._box, self._limits, self._brake_s = box, limits, brake_s
        self._metres, self._radians = limits.max_step_m, limits.max_turn_rad
        self._last_s = -np.inf
        self._commanded_s: float | None = None
        self._braking_since_s: float | None = None
        self._near, self._at_wall = True, False
        self.watchdog_holds = 0
        """Number of holds because the client went silent."""
        self.ways_cut = 0
        """Number of these holds before the tool was at the commanded pose."""
        self.missing = (0.0, 0.0)
        """Metres and radians that the last of them left."""
        self.hold(pose)

    def hold(self, pose: Pose) -> None:
        """Stay at a measured pose until the next command.

        The pose may lie outside the box, so that an arm outside is not jerked back in.
        """
        self.set_point = self._goal = pose
        self._commanded_s = self._braking_since_s = None

    def command(self, pose: Pose, now_s: float) -> None:
        """Go to a pose, finite and with a quaternion of length 1."""
        self._goal, _ = self._box.clip(pose)
        self._commanded_s, self._braking_since_s = now_s, None
        self._near = (
            float(np.linalg.norm(self._goal[:3] - self.set_point[:3])) <= self._limits.max_step_m
            and angle_rad(self._goal[3:], self.set_point[3:]) <= self._limits.max_turn_rad
        )

    def update(self, measured: Pose, velocity_m_per_s: np.ndarray, now_s: float) -> Pose:
        """Compute the set point of this tick.

        Args:
            measured: measured pose of the tool.
            velocity_m_per_s: measured velocity of the tool, float64 [3].
            now_s: time on the arm's clock.

        Returns:
            Pose to which the controller pulls the tool.
        """
        metres, radians = self._refill(now_s)
        if self._commanded_s is not None and now_s - self._commanded_s > self._limits.watchdog_s:
            self._count_hold(measured)
            self._commanded_s, self._braking_since_s = None, now_s
        if self._braking_since_s is not None:
            self._brake(measured, velocity_m_per_s, now_s)
        elif self.set_point is not self._goal:
            self._travel(metres, radians)
        return self._brake_at_walls(measured, velocity_m_per_s)

    def _count_hold(self, measured: Pose) -> None:
        """Count a hold, and note what is missing to the commanded pose."""
        self.watchdog_holds += 1
        metres = float(np.linalg.norm(self._goal[:3] - measured[:3]))
        radians = angle_rad(self._goal[3:], measured[3:])
        if metres > _ARRIVED_M or radians > _ARRIVED_RAD:
            self.ways_cut, self.missing = self.ways_cut + 1, (metres, radians)

    def _brake_at_walls(self, measured: Pose, velocity_m_per_s: np.ndarray) -> Pose:
        """Return the set point, changed to keep the tool in the box."""
        set_point, self._at_wall = self.set_point, False
        axes = zip(measured[:3].tolist(), velocity_m_per_s.tolist(), self._box.low_m, self._box.high_m, strict=True)
        for axis, (position, speed, low, high) in enumerate(axes):
            ahead = position + _LOOK_AHEAD_S * speed
            if self._brake_s and ((ahead > high and speed > 0) or (ahead < low and speed < 0)):
                set_point, self._at_wall = set_point.copy(), True
                set_point[axis] = min(max(position - self._brake_s * speed, low), high)
        return set_point

    @property
    def is_braking(self) -> bool:
        """True while the limiter stops the arm; a controller may add damping."""
        return self._braking_since_s is not None or self._at_wall

    def _brake(self, measured: Pose, velocity_m_per_s: np.ndarray, now_s: float) -> None:
        speed = math.sqrt(float(velocity_m_per_s @ velocity_m_per_s))
        if speed < _STANDING_M_PER_S or now_s - (self._braking_since_s or now_s) > _MAX_BRAKING_S:
            self.hold(measured)
            return
        behind = measured.copy()
        behind[:3] -= self._brake_s * velocity_m_per_s
        self.set_point, _ = self._box.clip(behind)
        self._goal = self.set_point

    def _refill(self, now_s: float) -> tuple[float, float]:
        """Compute how far the set point may move now: metres, radians."""
        limits, elapsed_s = self._limits, now_s - self._last_s
        metres, radians = limits.max_speed_m_per_s * elapsed_s, limits.max_turn_speed_rad_per_s * elapsed_s
        self._metres = min(limits.max_step_m, self._metres + metres)
        self._radians = min(limits.max_turn_rad, self._radians + radians)
        self._last_s = now_s
        return (self._metres, self._radians) if self._near else (min(metres, self._metres), min(radians, self._radians))

    def _travel(self, metres: float, radians: float) -> None:
        start, goal = self.set_point, self._goal
        path = goal[:3] - start[:3]
        distance = float(np.linalg.norm(path))
        turn = angle_rad(start[3:], goal[3:])
        step, turned = min(distance, metres), min(turn, radians)
        self._metres -= step
        self._radians -= turned
        if step == distance and turned == turn:
            self.set_point = goal
            return
        position = goal[:3] if step == distance else start[:3] + path * (step / distance)
        self.set_point = np.concatenate([position, turned_towards(start[3:], goal[3:], turned)])
