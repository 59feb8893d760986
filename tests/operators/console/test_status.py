"""Texts, advice and curves of a rollout in the panel."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hilserl.data.episode_summary import summarise
from hilserl.data.step import Observation
from hilserl.operators.console.status import RolloutStatus
from hilserl.operators.value_watch import PATIENCE_STEPS, ValueWatch
from tests.support.steps import make_episode


class Progress:
    """A supervision whose progress the test sets."""

    now = 0.0

    def progress(self) -> float:
        return self.now


def make_status(
    progress: Progress | None = None, value: Callable[[Observation, np.ndarray], float] | None = None
) -> RolloutStatus:
    """Return the status of a task with steps of 0.1 s."""
    env: Any = SimpleNamespace(supervision=progress, experience=SimpleNamespace(control_dt_s=0.1, task="pick_cube"))
    return RolloutStatus(env, ValueWatch(value) if value else None)


def test_headline_names_task_episode_and_step() -> None:
    status = make_status()
    assert status.headline() == "No step yet."
    for step in make_episode(3, 12, camera=False):
        status.on_step(step)
    assert status.headline() == "pick_cube, episode 3, step 12 (1.2 s)"


def test_advice_counts_the_time_without_progress() -> None:
    progress = Progress()
    status = make_status(progress)
    steps = make_episode(0, 25, camera=False)
    for step in steps[:13]:
        status.on_step(step)
    assert status.advice() == ("No progress for 1.2 s",)
    progress.now = 0.5
    status.on_step(steps[13])
    assert status.advice() == ("The task makes progress",)
    assert make_status().advice() == (), "a task without supervision has no progress"


@pytest.mark.parametrize(("slope", "trend"), [(0.1, "rising"), (-0.1, "falling"), (0.0, "level")])
def test_advice_names_the_trend_of_the_value(slope: float, trend: str) -> None:
    values = iter(slope * np.arange(100.0))
    status = make_status(value=lambda observation, action: float(next(values)))  # noqa: ARG005
    for step in make_episode(0, 20, camera=False):
        status.on_step(step)
    assert status.advice() == (f"Expected value {19 * slope:.2f}, {trend}",)
    ((title, (curve,)),) = status.plots()
    assert (title, curve.name) == ("Value of the action taken", "Q")
    assert np.allclose(curve.y, slope * np.arange(20))


def test_takeover_is_advised_while_the_value_stands_still() -> None:
    status = make_status(value=lambda *_: 0.3)
    advised = []
    for step in make_episode(0, PATIENCE_STEPS + 5, camera=False):
        status.on_step(step)
        advised.append(status.advises_takeover)
    assert (advised[0], advised[-1]) == (False, True)
    assert not make_status().advises_takeover, "without critics there is no advice"


def test_outcome_tells_success_and_discard() -> None:
    status = make_status()
    status.on_episode(summarise(make_episode(2, 8, terminated=True, camera=False)))
    assert (status.outcome, status.success) == ("Episode 2: success after 0.8 s", True)
    status.on_discard(3)
    assert (status.outcome, status.success) == ("Episode 3: discarded", False)
