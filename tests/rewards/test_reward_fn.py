"""Reward functions by name."""

from pathlib import Path

import numpy as np
import pytest

from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.rewards.classifier import Prediction, RewardClassifier
from hilserl.rewards.reward_fn import make_reward_fn


def test_human_reward_never_ends_an_episode(spec: ExperienceSpec) -> None:
    reward_fn = make_reward_fn("human", None, spec)
    assert reward_fn is not None
    assert reward_fn({"state": np.ones(3, np.float32)}) is False


@pytest.mark.parametrize("reward", ["success", "dense"])
def test_environment_rewards_need_no_function(spec: ExperienceSpec, reward: str) -> None:
    assert make_reward_fn(reward, None, spec) is None  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("success", [True, False])
def test_classifier_reward_is_its_prediction(
    spec: ExperienceSpec, success: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Classifier:
        def predictor(self, spec: ExperienceSpec) -> object:
            del spec
            return lambda observation: Prediction(observation["state"][0] > 0, 0.5, 0)

    monkeypatch.setattr(RewardClassifier, "load", lambda path: Classifier() if path == Path("cube") else None)
    reward_fn = make_reward_fn("classifier", Path("cube"), spec)
    assert reward_fn is not None
    assert bool(reward_fn({"state": np.array([1.0 if success else -1.0], np.float32)})) is success


def test_missing_classifier_is_named(spec: ExperienceSpec, tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match=r"no classifier .*none"):
        make_reward_fn("classifier", tmp_path / "none", spec)
