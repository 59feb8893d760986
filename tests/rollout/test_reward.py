"""Episodes whose reward comes from a reward function, and an operator who denies its successes."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.operators.hands import HandsConfig
from hilserl.operators.operator import NoOperator
from hilserl.operators.simulated import SimulatedOperator, SimulatedOperatorConfig
from hilserl.operators.takeover import Intent, Verdict
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.runs.counters import RunCounters
from hilserl.tasks import make_sim_env

LIMIT = 6


class World:
    """Environment whose state counts the steps of the episode; a step number ends the task."""

    def __init__(self, spec: ExperienceSpec, done_from: int) -> None:
        self.experience, self.done_from, self.now = spec, done_from, 0

    def _observe(self) -> dict[str, np.ndarray]:
        return {"state": np.array([self.now, 0.0, 1.0], np.float32)}

    def reset(self, seed: int) -> tuple[Any, ...]:
        del seed
        self.now = 0
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple[Any, ...]:
        del action
        self.now += 1
        done = self.now >= self.done_from
        return self._observe(), float(done), False, self.now >= LIMIT, {"success": done}


class Doubter(NoOperator):
    """Operator who answers claims by a script; None is no answer yet."""

    def __init__(self, answers: Sequence[bool | None] = ()) -> None:
        self.answers = list(answers)

    def confirms(self) -> bool | None:
        return self.answers.pop(0) if self.answers else True


class Stage(Subscriber):
    """Rollout with all that it reported."""

    def __init__(self, spec: ExperienceSpec, done_from: int, seen: set[int], operator: Any = None) -> None:
        self.steps: list[Step] = []
        self.episodes: list[EpisodeSummary] = []
        self.judged: list[int] = []
        world, self.operator = World(spec, done_from), operator or Doubter()

        def reward_fn(observation: dict[str, np.ndarray]) -> bool:
            self.judged.append(int(observation["state"][0]))
            return self.judged[-1] in seen

        self.rollout = Rollout(world, self.operator, [self], EpisodeSeeds(0, "test"), reward_fn=reward_fn)

    def go(self, calls: int = 20) -> "Stage":
        """Run some calls of the loop, or one episode."""
        for _ in range(calls):
            self.rollout.step(lambda observation: (np.zeros(2, np.float32), 0))  # noqa: ARG005
            if self.episodes:
                break
        return self

    def on_step(self, step: Step) -> None:
        self.steps.append(step)

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        del steps
        self.episodes.append(summary)

    def on_discard(self, episode: int) -> None:
        raise AssertionError(episode)


def told(step: Step) -> tuple[Any, ...]:
    return step.reward, step.terminated, step.truncated, step.success, step.claimed, step.truth


def test_reward_fn_ends_the_episode_and_the_truth_is_recorded(state_spec: ExperienceSpec) -> None:
    stage = Stage(state_spec, done_from=2, seen={4}).go()
    assert stage.judged == [1, 2, 3, 4], "the reset is not judged"
    assert [told(step) for step in stage.steps[1:]] == [
        (0.0, False, False, False, False, False),
        (0.0, False, False, False, False, True),
        (0.0, False, False, False, False, True),
        (1.0, True, False, True, True, True),
    ]
    (summary,) = stage.episodes
    assert (summary.success, summary.truth, summary.fooled) == (True, True, False)
    assert (summary.steps, summary.agreeing_steps, summary.denied_steps) == (4, 2, 0)


def test_fooled_reward_fn_is_believed_and_counted(state_spec: ExperienceSpec) -> None:
    stage, counters = Stage(state_spec, done_from=100, seen={3}).go(), RunCounters()
    for step in stage.steps:
        counters.on_step(step)
    counters.on_episode(stage.steps, stage.episodes[0])
    assert told(stage.steps[-1]) == (1.0, True, False, True, True, False)
    assert (counters.called_successes, counters.fooled, counters.agreement) == (1, 1, pytest.approx(2 / 3))


def test_time_limit_ends_an_episode_without_success(state_spec: ExperienceSpec) -> None:
    stage = Stage(state_spec, done_from=1, seen=set()).go()
    assert told(stage.steps[-1]) == (0.0, False, True, False, False, True)
    assert len(stage.steps) == LIMIT + 1
    assert not stage.episodes[0].success
    assert stage.episodes[0].truth


def test_success_in_the_last_step_is_no_time_limit(state_spec: ExperienceSpec) -> None:
    last = Stage(state_spec, done_from=1, seen={LIMIT}).go().steps[-1]
    assert (last.terminated, last.truncated) == (True, False)


def test_denied_success_earns_nothing_and_the_episode_goes_on(state_spec: ExperienceSpec) -> None:
    stage = Stage(state_spec, done_from=100, seen={2, 3, 5}, operator=Doubter([None, None, False, False, True])).go()
    assert [told(step)[:5] for step in stage.steps[1:]] == [
        (0.0, False, False, False, False),
        (0.0, False, False, False, True),
        (0.0, False, False, False, True),
        (0.0, False, False, False, False),
        (1.0, True, False, True, True),
    ]
    assert stage.judged == [1, 2, 3, 4, 5], "no step and no evaluation while the operator decides"
    assert stage.episodes[0].denied_steps == 2
    assert all(later.index == earlier.index + 1 for earlier, later in pairwise(stage.steps))


def test_denial_in_the_last_step_is_a_time_limit(state_spec: ExperienceSpec) -> None:
    stage = Stage(state_spec, done_from=100, seen={LIMIT}, operator=Doubter([False])).go()
    assert told(stage.steps[-1]) == (0.0, False, True, False, True, False)
    assert not stage.episodes[0].success


def test_unanswered_success_stands_at_the_end_of_the_run(state_spec: ExperienceSpec) -> None:
    stage = Stage(state_spec, done_from=100, seen={2}, operator=Doubter([None] * 9)).go(5)
    assert len(stage.steps) == 2, "it is not told before it is known"
    stage.rollout.end_episode()
    assert told(stage.steps[-1]) == (1.0, True, False, True, True, False)
    assert len(stage.episodes) == 1
    assert stage.rollout.between_episodes


def test_verdict_of_the_operator_needs_no_confirmation(state_spec: ExperienceSpec) -> None:
    class Judging(Doubter):
        def intent(self) -> Intent:
            return Intent(False, verdict=Verdict.FAILURE)

    stage = Stage(state_spec, done_from=100, seen={1}, operator=Judging([None] * 9)).go(2)
    assert told(stage.steps[-1])[:5] == (0.0, False, True, False, True)


def test_simulated_operator_calls_a_success_after_its_reaction_delay() -> None:
    with make_sim_env("pick_cube", ends_on_success=False) as env:
        config = SimulatedOperatorConfig(HandsConfig(noise=0.0), first_patience_steps=0)
        operator = SimulatedOperator(env.supervision, env.experience.action, config, 0, gives_reward=True)
        stage = Stage(env.experience, 0, set(), operator)
        stage.rollout = Rollout(env, operator, [stage], EpisodeSeeds(0, "test"), reward_fn=lambda _: False)
        while not stage.episodes:
            stage.rollout.step(lambda observation: (np.zeros(4, np.float32), 0))  # noqa: ARG005
        (summary,) = stage.episodes
        assert summary.success
        assert summary.truth
        assert sum(step.truth for step in stage.steps) == config.reaction_delay_steps + 2
        assert [step.success for step in stage.steps] == [False] * (len(stage.steps) - 1) + [True]
