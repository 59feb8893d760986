"""Toy steps and episodes."""

from typing import TypedDict, Unpack

import numpy as np

from hilserl.data.step import Step


class StepFields(TypedDict, total=False):
    """Optional fields of a toy step."""

    reward: float
    terminated: bool
    truncated: bool
    success: bool
    claimed: bool
    truth: bool
    intervened: bool
    policy_version: int
    human_seconds: float
    seed: int


def make_step(
    episode: int, index: int, value: float | None = None, *, camera: bool = True, **fields: Unpack[StepFields]
) -> Step:
    """Make a toy step with numbers that no other step has.

    Args:
        episode: the episode's number.
        index: the step's index in its episode; 0 is the reset.
        value: the number in observation and action; by default made of episode and index.
        camera: with the image `eye`.
        **fields: fields of the step.
    """
    value = 100.0 * (episode % 9_999) + 0.5 * (episode // 9_999) + index if value is None else value
    observation: dict[str, np.ndarray] = {"state": np.array([value, -value, 1.0], np.float32)}
    if camera:
        observation["eye"] = np.full((2, 3, 3), int(value) % 256, np.uint8)
    action = np.array([0.0 if index == 0 else 0.001 * value, 0.0], np.float32)
    return Step(episode, index, observation, action, **fields)


def make_episode(
    episode: int,
    length: int,
    *,
    terminated: bool = False,
    intervened: tuple[int, ...] = (),
    value: float | None = None,
    camera: bool = True,
) -> list[Step]:
    """Make an episode: a reset and `length` steps.

    The last step terminates or, by default, reaches the time limit.
    """
    steps = [make_step(episode, 0, value, camera=camera)]
    for index in range(1, length + 1):
        last = index == length
        steps.append(
            make_step(
                episode,
                index,
                value,
                camera=camera,
                reward=float(last and terminated),
                terminated=last and terminated,
                truncated=last and not terminated,
                success=last and terminated,
                intervened=index in intervened,
            )
        )
    return steps
