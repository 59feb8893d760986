"""Toy steps and episodes."""

import numpy as np

from hilserl.data.step import Step


def make_step(episode: int, index: int, value: float | None = None, *, camera: bool = True, **flags) -> Step:
    """A toy step that can be told from every other: its numbers are made of episode and index."""
    value = 100.0 * episode + index if value is None else value
    observation = {"state": np.array([value, -value, 1.0], np.float32)}
    if camera:
        observation["eye"] = np.full((2, 3, 3), int(value) % 256, np.uint8)
    action = np.array([0.0 if index == 0 else 0.001 * value, 0.0], np.float32)
    return Step(episode, index, observation, action, **flags)


def make_episode(episode: int, length: int, *, terminated: bool = False, intervened: tuple[int, ...] = (), **kwargs):
    """A reset and `length` steps; the last one terminates or, otherwise, runs out of time."""
    steps = [make_step(episode, 0, **kwargs)]
    for index in range(1, length + 1):
        last = index == length
        steps.append(
            make_step(
                episode,
                index,
                reward=float(last and terminated),
                terminated=last and terminated,
                truncated=last and not terminated,
                success=last and terminated,
                intervened=index in intervened,
                **kwargs,
            )
        )
    return steps
