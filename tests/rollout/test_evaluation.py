"""Evaluations of a policy without an operator."""

from hilserl.rollout.evaluation import Evaluation


def test_evaluation_says_successes_and_interval() -> None:
    shown = str(Evaluation(9, 10, 20.0, 2.0))
    assert shown.startswith("9 of 10 episodes succeed (95 % interval 59.6 to 98.2 %)")
