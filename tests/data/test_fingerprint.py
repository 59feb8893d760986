"""An episode is the same under any number, name or label."""

import dataclasses

import pytest

from hilserl.data.fingerprint import distinct, fingerprint
from tests.support.steps import make_episode


def test_fingerprint_ignores_number_and_labels() -> None:
    steps = make_episode(3, 5)
    again = [dataclasses.replace(step, episode=9, success=True, reward=1.0) for step in steps]
    assert fingerprint(again) == fingerprint(steps)


def test_fingerprint_tells_episodes_apart() -> None:
    steps = make_episode(3, 5)
    moved = [dataclasses.replace(step, action=step.action + (index == 2)) for index, step in enumerate(steps)]
    reseeded = [dataclasses.replace(step, seed=step.seed + 1) for step in steps]
    darker = make_episode(3, 5)
    darker[1].observation["eye"][0, 0, 0] ^= 1
    assert len({fingerprint(each) for each in (steps, steps[:-1], moved, reseeded, darker)}) == 5


def test_distinct_yields_each_episode_once(caplog: pytest.LogCaptureFixture) -> None:
    one, other = make_episode(3, 5), make_episode(4, 5)
    one = [dataclasses.replace(step, seed=1) for step in one]
    assert list(distinct([one, other, one, one])) == [one, other]
    assert "2 episodes came more than once" in caplog.text
