"""Policies in the package: each acts in its task, and is what its figures say."""

import contextlib
import json

import pytest

from hilserl.errors import HilserlError
from hilserl.policies.built_in import built_in_policy, built_in_tasks
from hilserl.policies.loading import load_policy
from hilserl.rollout.evaluation import evaluate

MOST_BYTES = 1_000_000
"""Of one policy; every installation downloads all of them."""


@pytest.mark.parametrize("task", built_in_tasks())
def test_built_in_policy_is_small(task: str) -> None:
    assert sum(path.stat().st_size for path in built_in_policy(task).iterdir()) < MOST_BYTES


@pytest.mark.parametrize("task", built_in_tasks())
def test_built_in_policy_succeeds_alone(task: str) -> None:
    figures = json.loads((built_in_policy(task) / "policy.json").read_text())["figures"]
    assert figures["result"]["evaluation"]["episodes"] == 100
    loaded = load_policy(built_in_policy(task))
    with contextlib.closing(loaded.env):
        assert loaded.config.task == task
        assert loaded.config.env.obs == "pixels"
        assert evaluate(loaded.env, loaded.policy, 5, 20_000).successes >= 4


def test_unknown_task_is_answered_with_those_that_exist() -> None:
    with pytest.raises(HilserlError, match=r"task with a trained policy 'juggle'.*pick_cube"):
        built_in_policy("juggle")
