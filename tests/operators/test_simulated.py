"""Simulated operators take over, hand back and demonstrate like human ones."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.operators.hands import HandsConfig
from hilserl.operators.simulated import Demonstrator, SimulatedOperator, SimulatedOperatorConfig
from tests.support.layouts import ACTION


class Track:
    """A task whose progress the test sets.

    The expert always moves along +x and closes.
    """

    def __init__(self) -> None:
        self.now, self.danger = 0.0, False

    def expert_action(self) -> np.ndarray:
        return np.array([1.0, 0.0, 0.0, -1.0])

    def expert_way(self) -> np.ndarray:
        return 5.0 * self.expert_action()

    def to_action(self, way: np.ndarray) -> np.ndarray:
        return np.clip(way, -1.0, 1.0)

    def progress(self) -> float:
        return self.now

    def succeeded(self) -> bool:
        return False

    def harm(self) -> bool:
        return self.danger


def make_operator(task: Track, **settings) -> SimulatedOperator:
    config = replace(SimulatedOperatorConfig(first_patience_steps=3, reaction_delay_steps=2), **settings)
    made = SimulatedOperator(task, ACTION, config, seed=0)
    made.begin_episode(0)
    return made


def steps_until_engaged(operator: SimulatedOperator, limit: int = 200) -> int:
    for step in range(limit):
        if operator.intent().engaged:
            return step
    return limit


def test_operator_takes_over_after_patience_and_reaction() -> None:
    assert steps_until_engaged(make_operator(Track())) == 3 + 2
    assert steps_until_engaged(make_operator(Track(), reaction_delay_steps=0)) == 3


def test_operator_who_follows_advice_waits_for_it() -> None:
    advised = False
    config = SimulatedOperatorConfig(follows_advice=True, overlooked=1.0)
    operator = SimulatedOperator(Track(), ACTION, config, 0, advised=lambda: advised)
    operator.begin_episode(0)
    assert not any(operator.intent().engaged for _ in range(200))
    advised = True
    engaged = [operator.intent().engaged for _ in range(10)]
    assert engaged == [False] * config.reaction_delay_steps + [True] * (10 - config.reaction_delay_steps)


def test_operator_watches_while_the_task_makes_progress() -> None:
    task = Track()
    operator = make_operator(task)
    for _ in range(40):
        task.now += 0.025
        assert not operator.intent().engaged


def test_operator_stops_harm_before_its_patience_ends() -> None:
    task = Track()
    operator = make_operator(task, first_patience_steps=100, last_patience_steps=100)
    task.danger = True
    assert steps_until_engaged(operator) == 2


def steps_driven(operator: SimulatedOperator, limit: int = 200) -> int:
    """Count the steps of an intervention, its first one included."""
    steps = 1
    while steps < limit and operator.intent().engaged:
        steps += 1
    return steps


def test_operator_hands_back_after_progress() -> None:
    task = Track()
    operator = make_operator(task, handback_progress=0.3, max_intervention_steps=50)
    steps_until_engaged(operator)
    task.now += 0.29
    for _ in range(5):
        assert operator.intent().engaged
    task.now += 0.02
    assert steps_driven(operator) == 3, "the reaction delay, and then no more"


def test_operator_hands_back_after_the_longest_intervention() -> None:
    operator = make_operator(Track(), max_intervention_steps=6)
    steps_until_engaged(operator)
    assert steps_driven(operator) == 6 + 2


def test_trust_grows_with_autonomous_success_only() -> None:
    operator = make_operator(Track(), remembered_episodes=4, last_patience_steps=40)
    assert operator.trust == 0.0
    for success, intervened in ((True, True), (False, False), (True, False), (True, False)):
        operator.end_episode(success, intervened)
    assert operator.trust == 0.5
    operator.begin_episode(1)
    assert steps_until_engaged(operator) > 20, "patience has grown"
    for _ in range(4):
        operator.end_episode(success=False, intervened=False)
    operator.begin_episode(2)
    assert steps_until_engaged(operator) == 5, "and shrinks again"


def test_demonstrator_has_limits_and_noise_and_repeats_with_its_seed() -> None:
    def motions(seed: int, episode: int) -> np.ndarray:
        config = SimulatedOperatorConfig(HandsConfig(max_speed=0.6, noise=0.1))
        demonstrator = Demonstrator(Track(), ACTION, config, seed)
        demonstrator.begin_episode(episode)
        return np.array([demonstrator.intent().motion for _ in range(400)])

    first = motions(0, 0)
    assert first[:, 0].mean() == pytest.approx(0.6, abs=0.03)
    assert first[:, 1].std() == pytest.approx(0.1, abs=0.02)
    assert np.array_equal(first, motions(0, 0))
    assert not np.array_equal(first, motions(1, 0))
    assert not np.array_equal(first, motions(0, 1))


@pytest.mark.parametrize(
    "settings",
    [
        {"overlooked": 1.5},
        {"first_patience_steps": -1},
        {"handback_progress": -0.1},
        {"remembered_episodes": 0},
    ],
)
def test_config_refuses_impossible_numbers(settings: dict[str, Any]) -> None:
    with pytest.raises(HilserlError, match=f"Invalid {next(iter(settings))} .*: expected"):
        SimulatedOperatorConfig(**settings)


def test_operator_overlooks_some_moments_before_it_takes_over() -> None:
    def begins(overlooked: float) -> list[int]:
        operator, steps = make_operator(Track(), overlooked=overlooked), []
        for episode in range(60):
            operator.begin_episode(episode)
            steps.append(steps_until_engaged(operator))
        return steps

    assert set(begins(0.0)) == {5}
    late = begins(0.5)
    assert min(late) >= 5
    assert np.mean(late) == pytest.approx(3 + 2 + 3, abs=1.0), "three moments are seen, as many overlooked"
