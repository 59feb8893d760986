"""Time that a run asks of the robot and of people."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

STEPS_PER_ROBOT_MINUTE = 600
"""Control steps of a minute, at 10 Hz."""
TRUSTED_RATE = 0.9
"""Success rate of two evaluations in a row that ends the watching."""


def robot_minutes(env_steps: float) -> float:
    """Return the robot-minutes of some environment steps."""
    return env_steps / STEPS_PER_ROBOT_MINUTE


def attended_minutes(evaluations: Sequence[Mapping[str, Any]], env_steps: int) -> float:
    """Return the robot-minutes in which a person has to watch.

    They end with the first of two evaluations in a row of which each succeeds in at least 90 % of its episodes. Without
    such a pair somebody has to watch all the time.

    Args:
        evaluations: the run's evaluations in order, each with `env_steps` and `success_rate`.
        env_steps: environment steps of the whole run.
    """
    trusted = [first["env_steps"] for first, second in pairwise(evaluations) if _are_trusted(first, second)]
    return robot_minutes(trusted[0] if trusted else env_steps)


def begins_trust(evaluations: Sequence[Mapping[str, Any]]) -> bool:
    """Return True if nobody has to watch since the last evaluation.

    Args:
        evaluations: the run's evaluations in order, as for `attended_minutes`.
    """
    trusted = [_are_trusted(*pair) for pair in pairwise(evaluations)]
    return sum(trusted) == 1 and trusted[-1]


def _are_trusted(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return min(first["success_rate"], second["success_rate"]) >= TRUSTED_RATE
