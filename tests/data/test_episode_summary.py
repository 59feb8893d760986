"""Summaries of episodes, and the interval of a success rate."""

import dataclasses

import pytest

from hilserl.data.episode_summary import summarise, wilson_interval
from tests.support.steps import make_episode


def test_summary_counts_steps_and_interventions() -> None:
    steps = make_episode(3, 6, terminated=True, intervened=(2, 3, 5))
    summary = summarise([dataclasses.replace(step, human_seconds=0.5 * step.intervened) for step in steps])
    assert (summary.episode, summary.steps) == (3, 6)
    assert (summary.intervened_steps, summary.interventions, summary.human_seconds) == (3, 2, 1.5)
    assert summary.episode_return == pytest.approx(sum(step.reward for step in steps))


def test_summary_counts_agreement_and_denials() -> None:
    steps = make_episode(0, 4)
    steps[2] = dataclasses.replace(steps[2], claimed=True, success=False, truth=False)
    steps[4] = dataclasses.replace(steps[4], claimed=True, success=True, truth=False)
    summary = summarise(steps)
    assert (summary.agreeing_steps, summary.denied_steps) == (2, 1)
    assert (summary.success, summary.truth, summary.fooled, summary.autonomous_success) == (True, False, True, True)


def test_autonomous_success_has_no_intervention() -> None:
    steps = make_episode(0, 2, intervened=(1,))
    steps[2] = dataclasses.replace(steps[2], success=True, truth=True)
    assert not summarise(steps).autonomous_success


def test_wilson_interval_is_the_published_one() -> None:
    """Brown, Cai and DasGupta (2001); 10 of 10 and 0 of 10 are the well-known 0.722 and 0.278."""
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-3)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson_interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    assert wilson_interval(0, 0) == (0.0, 1.0)
