"""A simulated operator who collects labelled images of successes and near misses.

The operator performs a task's expert motion in part, too early, beside the object, too far, or in reverse. Any task
then yields its typical near misses: half a lift, a grip beside the object or at its corner, an object that is pushed or
dropped, an empty gripper.
"""

from collections.abc import Iterator

import numpy as np
from typing_extensions import override

from hilserl.data.spec import ActionLayout
from hilserl.envs.env import Supervision
from hilserl.operators.operator import Operator
from hilserl.operators.takeover import GripperRequest, Intent, Verdict

_MAX_APPROACH_STEPS = 45
_MOTION_NOISE = 0.1
"""Standard deviation of the hand's error, in full actions."""
_RESET = Intent(True, verdict=Verdict.RESET)


class SimulatedLabeller(Operator):
    """An operator who drives one short routine an episode.

    A routine is a generator of intents. Seed and episode number decide its random draws. The task labels the images.
    Half of the routines reach for success.

    Args:
        task: expert, progress and harm of the task.
        layout: layout of the actions.
        seed: seed of the random draws.
    """

    def __init__(self, task: Supervision, layout: ActionLayout, seed: int) -> None:
        self._task, self._layout, self._seed = task, layout, seed
        self._rng = np.random.default_rng(seed)
        self._speed = 1.0
        self._intents: Iterator[Intent] = iter(())
        self._routines = (
            self._succeed, self._stop_short, self._grip_beside, self._drop,
            self._succeed, self._grip_off_centre, self._push, self._stop_short, self._hover,
        )  # fmt: skip

    @override
    def begin_episode(self, episode: int) -> None:
        self._rng = np.random.default_rng([self._seed, episode])
        self._speed = self._rng.uniform(0.4, 1.0)
        self._intents = self._routines[episode % len(self._routines)]()

    @override
    def intent(self) -> Intent:
        return _RESET if self._task.harm() else next(self._intents, _RESET)

    def _succeed(self) -> Iterator[Intent]:
        """Succeed, go a little further, and cross the border of success repeatedly."""
        yield from self._approach()
        for _ in range(2):
            motions = self._sway, self._sway, self._sidestep, self._wander
            motion = motions[self._rng.integers(len(motions))]
            yield from motion(self._span(2, 5))
        if self._rng.random() < 0.3:
            yield from self._drive_grippers(GripperRequest.OPEN, self._span(2, 4))

    def _stop_short(self) -> Iterator[Intent]:
        """Stop on the way and sway there."""
        yield from self._approach(self._rng.uniform(0.4, 1.0))
        yield from self._wander(self._span(2, 6))
        yield from self._sway(self._span(2, 5))

    def _grip_beside(self) -> Iterator[Intent]:
        """Close the gripper beside the object and go back empty."""
        path = yield from self._approach(before_grip=True)
        yield from self._sidestep(self._span(2, 5))
        yield from self._drive_grippers(GripperRequest.CLOSE, 4)
        yield from self._retrace(path)
        yield from self._wander(self._span(1, 4))

    def _grip_off_centre(self) -> Iterator[Intent]:
        """Grip the object off its centre, then go on as the expert."""
        yield from self._approach(before_grip=True)
        yield from self._sidestep(1)
        yield from self._drive_grippers(GripperRequest.CLOSE, 4)
        yield from self._approach(steps=self._span(4, 10))
        yield from self._sway(self._span(2, 5))

    def _drop(self) -> Iterator[Intent]:
        """Open the gripper on the way or at the end."""
        yield from self._approach(self._rng.uniform(0.6, 1.1))
        yield from self._drive_grippers(GripperRequest.OPEN, self._span(4, 8))
        yield from self._approach(steps=self._span(0, 6))

    def _push(self) -> Iterator[Intent]:
        """Push the object with an open or a closed gripper."""
        yield from self._approach(before_grip=True)
        if self._rng.random() < 0.5:
            yield from self._sidestep(self._span(3, 5))
            yield from self._drive_grippers(GripperRequest.CLOSE, 4)
        for _ in range(2):
            yield from self._sidestep(self._span(3, 8))

    def _hover(self) -> Iterator[Intent]:
        """Close the gripper on the way and hover there."""
        yield from self._approach(steps=self._span(2, 12))
        yield from self._drive_grippers(GripperRequest.CLOSE, 4)
        yield from self._wander(self._span(6, 15))

    def _approach(
        self, progress: float = 1.0, steps: int = _MAX_APPROACH_STEPS, *, before_grip: bool = False
    ) -> Iterator[Intent]:
        """Follow the expert up to a progress or to a grip.

        Args:
            progress: progress of the task at which the approach ends.
            steps: longest approach.
            before_grip: stop where the expert would close a gripper.

        Returns:
            The motions made.
        """
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
        """Go forward and backward along the expert's direction."""
        direction, left, speed = 1, 0, 1.0
        for _ in range(steps):
            if not left:
                direction, left, speed = -direction, self._span(1, 4), self._rng.uniform(0.1, 0.9)
            left -= 1
            yield self._move(direction * speed * self._motion(self._task.expert_action()))

    def _retrace(self, path: list[np.ndarray]) -> Iterator[Intent]:
        """Go back along the path, or along its last part."""
        for motion in path[: -1 - self._span(4, 16) : -1]:
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
        noisy = motion + _MOTION_NOISE * self._rng.standard_normal(motion.shape)
        held = (GripperRequest.HOLD,) * len(self._layout.grippers)
        return Intent(True, tuple(np.clip(noisy, -1.0, 1.0)), held if grippers is None else grippers)

    def _motion(self, action: np.ndarray) -> np.ndarray:
        return action[list(self._layout.continuous)]

    def _span(self, least: int, most: int) -> int:
        return int(self._rng.integers(least, most + 1))
