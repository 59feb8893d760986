"""A policy whose values stop rising stagnates, and one on its way to success does not."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from hilserl.data.step import Observation
from hilserl.operators.value_watch import PATIENCE_STEPS, ValueWatch
from tests.support.steps import make_episode

DISCOUNT = 0.95


def watch_of(values: np.ndarray, human: range = range(0)) -> list[bool]:
    """Return after each step of an episode whether the policy stagnates."""
    numbers = iter(values)
    read: Callable[[Observation, np.ndarray], float] = lambda observation, action: float(next(numbers))  # noqa: ARG005, E731
    watch, seen = ValueWatch(read), []
    for step in make_episode(0, len(values), camera=False):
        watch.on_step(dataclasses.replace(step, intervened=step.index in human))
        seen.append(watch.stagnates)
    return seen[1:]


def test_value_watch_trusts_a_policy_on_its_way() -> None:
    steps = np.arange(100.0)
    on_the_way = DISCOUNT ** steps[::-1] * np.random.default_rng(0).uniform(0.9, 1.1, 100)
    assert not any(watch_of(on_the_way))


@pytest.mark.parametrize("level", [0.3, 0.0, -2.0])
def test_value_watch_sees_that_values_stand_still(level: float) -> None:
    seen = watch_of(np.full(2 * PATIENCE_STEPS, level))
    assert seen.index(True) == PATIENCE_STEPS + 1
    assert all(seen[PATIENCE_STEPS + 1 :])


def test_value_watch_sees_a_fall() -> None:
    rise = DISCOUNT ** np.arange(40.0)[::-1]
    seen = watch_of(np.concatenate([rise, 0.5 * np.ones(PATIENCE_STEPS + 5)]))
    assert not any(seen[:40])
    assert seen[-1]


def test_value_watch_begins_again_when_the_operator_drives() -> None:
    human = range(40, 45)
    seen = watch_of(np.full(100, 0.3), human)
    assert seen[38]
    assert not any(seen[39 : 44 + PATIENCE_STEPS])
    assert seen[44 + PATIENCE_STEPS + 3]


def test_value_watch_begins_again_with_each_episode() -> None:
    watch = ValueWatch(lambda *_: 0.3)
    for episode in range(2):
        for step in make_episode(episode, PATIENCE_STEPS, camera=False):
            watch.on_step(step)
            assert not watch.stagnates
