"""What stands between a client's poses and the arm's controller, in the loop that drives the arm.

It knows no clock, thread or socket: the loop tells it the time, so that what holds in simulated time holds.
"""

import math

import numpy as np

from hilserl.robot.control.limits import Box, Limits
from hilserl.robot.control.poses import Pose, angle_rad, turned_towards

_STANDING_M_PER_S = 0.01
_MAX_BRAKING_S = 0.3
_LOOK_AHEAD_S = 0.04
"""In which a braked arm comes to stand."""


class CommandLimiter:
    """Turns commanded poses into set points that stay in the box and travel no faster than allowed.

    Two allowances, of metres and of radians, are spent by moving the set point and refilled by time, up to one full
    step: short steps pass as they are, far ones are walked, and no stream of commands, however dense, is faster than
    the speed limit.

    An arm whose client has gone silent is braked: the set point lies behind it by `brake_s` times its velocity, which
    adds stiffness times `brake_s` to the damping, until it stands. The loop must see the velocity at once; 0 leaves
    the braking to the controller's own damping. So is an arm that would run over the edge of the box.
    """

    def __init__(self, box: Box, limits: Limits, pose: Pose, brake_s: float) -> None:
        self._box, self._limits, self._brake_s = box, limits, brake_s
        self._metres, self._radians = limits.max_step_m, limits.max_turn_rad
        self._last_s = -np.inf
        self._commanded_s: float | None = None
        self._braking_since_s: float | None = None
        self._near, self._at_wall = True, False
        self.watchdog_holds = 0
        """How often the arm was held because its client had gone silent."""
        self.hold(pose)

    def hold(self, pose: Pose) -> None:
        """Stay at a (measured) pose until the next command, be it outside the box: nothing jerks the arm back in."""
        self.set_point = self._goal = pose
        self._commanded_s = self._braking_since_s = None

    def command(self, pose: Pose, now_s: float) -> None:
        """Go to a pose: finite, its quaternion of length 1."""
        self._goal, _ = self._box.nearest(pose)
        self._commanded_s, self._braking_since_s = now_s, None
        self._near = (
            float(np.linalg.norm(self._goal[:3] - self.set_point[:3])) <= self._limits.max_step_m
            and angle_rad(self._goal[3:], self.set_point[3:]) <= self._limits.max_turn_rad
        )

    def update(self, measured: Pose, velocity_m_per_s: np.ndarray, now_s: float) -> Pose:
        """The pose for the controller to pull the tool to now; the velocity is the tool's, float64 [3]."""
        metres, radians = self._refill(now_s)
        if self._commanded_s is not None and now_s - self._commanded_s > self._limits.watchdog_s:
            self.watchdog_holds += 1
            self._commanded_s, self._braking_since_s = None, now_s
        if self._braking_since_s is not None:
            self._brake(measured, velocity_m_per_s, now_s)
        elif self.set_point is not self._goal:
            self._travel(metres, radians)
        return self._short_of_the_walls(measured, velocity_m_per_s)

    def _short_of_the_walls(self, measured: Pose, velocity_m_per_s: np.ndarray) -> Pose:
        """The set point, but along an axis on which the tool is about to leave the box, one that brakes it."""
        wanted, self._at_wall = self.set_point, False
        axes = zip(measured[:3].tolist(), velocity_m_per_s.tolist(), self._box.low_m, self._box.high_m, strict=True)
        for axis, (position, speed, low, high) in enumerate(axes):
            ahead = position + _LOOK_AHEAD_S * speed
            if self._brake_s and ((ahead > high and speed > 0) or (ahead < low and speed < 0)):
                wanted, self._at_wall = wanted.copy(), True
                wanted[axis] = min(max(position - self._brake_s * speed, low), high)
        return wanted

    @property
    def is_braking(self) -> bool:
        """Whether the arm is being stopped; a controller with damping to spare should use it."""
        return self._braking_since_s is not None or self._at_wall

    def _brake(self, measured: Pose, velocity_m_per_s: np.ndarray, now_s: float) -> None:
        speed = math.sqrt(float(velocity_m_per_s @ velocity_m_per_s))
        if speed < _STANDING_M_PER_S or now_s - (self._braking_since_s or now_s) > _MAX_BRAKING_S:
            self.hold(measured)
            return
        behind = measured.copy()
        behind[:3] -= self._brake_s * velocity_m_per_s
        self.set_point, _ = self._box.nearest(behind)
        self._goal = self.set_point

    def _refill(self, now_s: float) -> tuple[float, float]:
        """How far the set point may go now, in metres and radians."""
        limits, passed = self._limits, now_s - self._last_s
        metres, radians = limits.max_speed_m_per_s * passed, limits.max_turn_speed_rad_per_s * passed
        self._metres = min(limits.max_step_m, self._metres + metres)
        self._radians = min(limits.max_turn_rad, self._radians + radians)
        self._last_s = now_s
        return (self._metres, self._radians) if self._near else (min(metres, self._metres), min(radians, self._radians))

    def _travel(self, metres: float, radians: float) -> None:
        start, goal = self.set_point, self._goal
        way = goal[:3] - start[:3]
        distance = float(np.linalg.norm(way))
        turn = angle_rad(start[3:], goal[3:])
        step, turned = min(distance, metres), min(turn, radians)
        self._metres -= step
        self._radians -= turned
        if step == distance and turned == turn:
            self.set_point = goal
            return
        position = goal[:3] if step == distance else start[:3] + way * (step / distance)
        self.set_point = np.concatenate([position, turned_towards(start[3:], goal[3:], turned)])
