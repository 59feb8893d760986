"""A simulated person who collects labelled images: success from many sides, and everything that nearly is one.

What a task's expert would do is done in part, too early, beside, too far, and back again. That leads any task to its
own near misses: half a lift, a grip beside the object or at its corner, an object pushed or dropped, an empty hand.
"""

from collections.abc import Iterator

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ActionLayout
from hilserl.envs.env import Supervision
from hilserl.operators.operator import Operator
from hilserl.operators.takeover import GripperRequest, Intent, Verdict

_LONGEST_APPROACH_STEPS = 45
_SHAKE = 0.1
"""Standard deviation of the hand's error, as a part of a full action."""
_NOTHING = Intent(True, verdict=Verdict.RESET)


class Labeller(Operator):
    """Drives one short play an episode, drawn by seed and episode number; what is seen is for the task to judge.

    A play is a generator of control steps. The first half of every round of plays reaches for success.
    """

    def __init__(self, task: Supervision, layout: ActionLayout, seed: int) -> None:
        self._task, self._layout, self._seed = task, layout, seed
        self._rng = np.random.default_rng(seed)
        self._speed = 1.0
        self._steps: Iterator[Intent] = iter(())
        self._plays = (
            self._succeed, self._stop_short, self._grip_beside, self._drop,
            self._succeed, self._grip_off_centre, self._push, self._stop_short, self._hover,
        )  # fmt: skip

    @override
    def begin_episode(self, episode: int) -> None:
        self._rng = np.random.default_rng([self._seed, episode])
        self._speed = self._rng.uniform(0.4, 1.0)
        self._steps = self._plays[episode % len(self._plays)]()

    @override
    def intent(self) -> Intent:
        return _NOTHING if self._task.harm() else next(self._steps, _NOTHING)

    def _succeed(self) -> Iterator[Intent]:
        """Success, a little beyond it, and over its border forth and back."""
        yield from self._approach()
        for _ in range(2):
            moves = self._sway, self._sway, self._sidestep, self._wander
            move = moves[self._rng.integers(len(moves))]
            yield from move(self._span(2, 5))
        if self._rng.random() < 0.3:
            yield from self._drive_grippers(GripperRequest.OPEN, self._span(2, 4))

    def _stop_short(self) -> Iterator[Intent]:
        """Part of the way, held and swayed there."""
        yield from self._approach(self._rng.uniform(0.4, 1.0))
        yield from self._wander(self._span(2, 6))
        yield from self._sway(self._span(2, 5))

    def _grip_beside(self) -> Iterator[Intent]:
        """The gripper closes beside the object and leaves the way it came, empty."""
        way = yield from self._approach(before_grip=True)
        yield from self._sidestep(self._span(2, 5))
        yield from self._drive_grippers(GripperRequest.CLOSE, 4)
        yield from self._retrace(way)
        yield from self._wander(self._span(1, 4))

    def _grip_off_centre(self) -> Iterator[Intent]:
        """At a corner or an edge, if at all; then on as the expert would."""
        yield from self._approach(before_grip=True)
        yield from self._sidestep(1)
        yield from self._drive_grippers(GripperRequest.CLOSE, 4)
        yield from self._approach(steps=self._span(4, 10))
        yield from self._sway(self._span(2, 5))

    def _drop(self) -> Iterator[Intent]:
        """Let go on the way or at its end."""
        yield from self._approach(self._rng.uniform(0.6, 1.1))
        yield from self._drive_grippers(GripperRequest.OPEN, self._span(4, 8))
        yield from self._approach(steps=self._span(0, 6))

    def _push(self) -> Iterator[Intent]:
        """What should be gripped is touched and shoved, by an open or a closed hand."""
        yield from self._approach(before_grip=True)
        if self._rng.random() < 0.5:
            yield from self._sidestep(self._span(3, 5))
            yield from self._drive_grippers(GripperRequest.CLOSE, 4)
        for _ in range(2):
            yield from self._sidestep(self._span(3, 8))

    def _hover(self) -> Iterator[Intent]:
        """A closed hand somewhere on the way, and about there."""
        yield from self._approach(steps=self._span(2, 12))
        yield from self._drive_grippers(GripperRequest.CLOSE, 4)
        yield from self._wander(self._span(6, 15))

    def _approach(
        self, progress: float = 1.0, steps: int = _LONGEST_APPROACH_STEPS, *, before_grip: bool = False
    ) -> Iterator[Intent]:
        """As the expert would, up to a progress or to where a gripper would close; returns the motions made."""
        made: list[np.ndarray] = []
        for _ in range(steps):
            expert = self._task.expert_action()
            grippers = tuple(GripperRequest(round(expert[i])) for i in self._layout.grippers)
            if self._task.progress() >= min(progress, 1.0) or (before_grip and GripperRequest.CLOSE in grippers):
                break
            made.append(self._speed * self._motion(expert))
            yield self._move(made[-1], grippers)
        return made

    def _sway(self, steps: int) -> Iterator[Intent]:
        """Along the expert's way, forth and back."""
        forth, left, speed = 1, 0, 1.0
        for _ in range(steps):
            if not left:
                forth, left, speed = -forth, self._span(1, 4), self._rng.uniform(0.1, 0.9)
            left -= 1
            yield self._move(forth * speed * self._motion(self._task.expert_action()))

    def _retrace(self, way: list[np.ndarray]) -> Iterator[Intent]:
        """The way back, or a part of it."""
        for motion in way[: -1 - self._span(4, 16) : -1]:
            yield self._move(-motion)

    def _sidestep(self, steps: int) -> Iterator[Intent]:
        direction = self._rng.standard_normal(len(self._layout.continuous))
        speed = self._rng.uniform(0.3, 0.8)
        for _ in range(steps):
            yield self._move(speed * direction / np.abs(direction).max())

    def _wander(self, steps: int) -> Iterator[Intent]:
        speed = self._rng.uniform(0.0, 0.5)
        for _ in range(steps):
            yield self._move(speed * self._rng.standard_normal(len(self._layout.continuous)))

    def _drive_grippers(self, request: GripperRequest, steps: int) -> Iterator[Intent]:
        for _ in range(steps):
            yield self._move(np.zeros(len(self._layout.continuous)), (request,) * len(self._layout.grippers))

    def _move(self, motion: np.ndarray, grippers: tuple[GripperRequest, ...] | None = None) -> Intent:
        shaken = motion + _SHAKE * self._rng.standard_normal(motion.shape)
        held = (GripperRequest.HOLD,) * len(self._layout.grippers)
        return Intent(True, tuple(np.clip(shaken, -1.0, 1.0)), held if grippers is None else grippers)

    def _motion(self, action: np.ndarray) -> np.ndarray:
        return action[list(self._layout.continuous)]

    def _span(self, least: int, most: int) -> int:
        return int(self._rng.integers(least, most + 1))
