"""Reward functions that replace the task's own success test."""

from pathlib import Path
from typing import Literal

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation, RewardFn
from hilserl.rewards.classifier import RewardClassifier

RewardName = Literal["success", "dense", "classifier", "human"]
"""Names of the rewards.

They are the task's success, the task's dense reward, a classifier's prediction and the operator's word."""


def make_reward_fn(reward: RewardName, classifier: Path | None, spec: ExperienceSpec) -> RewardFn | None:
    """Make a run's reward function, or None to use the environment's reward.

    Args:
        reward: name of the reward.
        classifier: file of the classifier; None for other rewards.
        spec: layouts of the run's environment.

    Raises:
        HilserlError: the classifier cannot be read or is for another task or other cameras.
    """
    if reward == "human":
        return _never
    if classifier is None:
        return None
    predict = RewardClassifier.load(classifier).predictor(spec)
    return lambda observation: predict(observation).success


def _never(observation: Observation) -> bool:
    """Return False: with the human reward, the operator ends a successful episode."""
    del observation
    return False
