"""Profiles of the simulated operator demonstrate as people do, and are chosen by name."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from typing_extensions import override

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.errors import HilserlError
from hilserl.operators.hands import HandsConfig
from hilserl.operators.profiles import PROFILES, find_profile, profile_name
from hilserl.operators.simulated import Demonstrator, SimulatedOperatorConfig
from hilserl.rollout.recording import hold_still
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.tasks import make_sim_env

EPISODES = 8


class Habits(NamedTuple):
    """Figures of an operator's demonstrations of pick_cube."""

    successes: int
    seconds: float
    """Mean length of an episode."""
    still: float
    """Part of the steps without any motion."""
    saturated: float
    """Part of the steps at the full speed of some axis."""
    variety: float
    """Distinct continuous actions as a part of all."""


class Demonstrations(Subscriber):
    """Keeps the continuous actions of all episodes."""

    def __init__(self) -> None:
        self.actions: list[np.ndarray] = []
        self.successes: list[bool] = []

    @override
    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        self.actions += [step.action[:3] for step in steps if not step.is_reset]
        self.successes.append(summary.success)


@pytest.fixture(scope="module")
def habits() -> dict[str, Habits]:
    return {name: demonstrate(config) for name, config in PROFILES.items()}


def demonstrate(config: SimulatedOperatorConfig) -> Habits:
    kept = Demonstrations()
    with make_sim_env("pick_cube") as env:
        assert env.supervision is not None
        demonstrator = Demonstrator(env.supervision, env.experience.action, config, 0)
        rollout = Rollout(env, demonstrator, [kept], EpisodeSeeds(0, "demonstration"))
        while len(kept.successes) < EPISODES:
            rollout.step(hold_still(env.experience.action.size))
    actions = np.round(kept.actions, 4)
    fastest = np.abs(actions).max(1)
    return Habits(
        sum(kept.successes),
        len(actions) / 10 / EPISODES,
        float((fastest == 0).mean()),
        float((fastest > 0.75).mean()),
        len(np.unique(actions, axis=0)) / len(actions),
    )


def test_profiles_all_show_how_to_do_it(habits: dict[str, Habits]) -> None:
    assert {name: each.successes for name, each in habits.items()} == dict.fromkeys(PROFILES, EPISODES)


def test_keyboard_is_slow_still_and_repetitive(habits: dict[str, Habits]) -> None:
    """A third of the steps press nothing, and there are no more actions than combinations of keys."""
    steady, keyboard = habits["steady"], habits["keyboard"]
    assert keyboard.seconds > 2 * steady.seconds
    assert steady.still == 0
    assert 0.2 < keyboard.still < 0.5
    assert keyboard.variety < 0.1
    assert steady.variety == 1


def test_keyboard_and_gamepad_never_go_at_full_speed(habits: dict[str, Habits]) -> None:
    assert habits["keyboard"].saturated == 0
    assert habits["gamepad"].saturated < habits["steady"].saturated


def test_gamepad_lies_between_keys_and_a_steady_hand(habits: dict[str, Habits]) -> None:
    assert habits["steady"].seconds < habits["gamepad"].seconds < habits["keyboard"].seconds
    assert habits["gamepad"].variety == 1


def test_judgement_does_not_change_demonstrations(habits: dict[str, Habits]) -> None:
    assert habits["late"] == habits["lazy"] == habits["steady"]


def test_clumsy_and_two_minded_take_longer_than_steady(habits: dict[str, Habits]) -> None:
    assert habits["clumsy"].seconds > habits["steady"].seconds
    assert habits["two_minded"].seconds > habits["steady"].seconds


def test_profiles_are_found_by_name() -> None:
    for name, config in PROFILES.items():
        assert find_profile(name) is config
        assert profile_name(config) == name
    assert profile_name(SimulatedOperatorConfig(HandsConfig(noise=0.3))) == "custom"
    with pytest.raises(HilserlError, match=r"simulated operator 'keybord'.*keyboard"):
        find_profile("keybord")
