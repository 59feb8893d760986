"""What says in training that a task is done, where it is not the task itself."""

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation
from hilserl.rewards.classifier import RewardClassifier
from hilserl.rollout.rollout import Judge
from hilserl.training.config import TrainConfig


def reward_judge(config: TrainConfig, spec: ExperienceSpec) -> Judge | None:
    """The judge of a run's episodes, or None where the task judges them.

    Raises HilserlError for a classifier that cannot be read or was trained for something else.
    """
    if config.reward == "human":
        return _nobody
    if config.classifier is None:
        return None
    judge = RewardClassifier.load(config.classifier).judge_for(spec)
    return lambda observation: judge(observation).success


def _nobody(observation: Observation) -> bool:
    """A success is what the operator calls one, by ending the episode."""
    del observation
    return False
