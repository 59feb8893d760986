"""Episodes that something other than the task judges, and a person who denies what it says."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.agents.agent import AgentConfig
from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.episodes import read_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.operator import NoOperator
from hilserl.operators.simulated import SimulatedOperator, SimulatedOperatorConfig
from hilserl.operators.takeover import Intent, Verdict
from hilserl.rewards.classifier import Prediction
from hilserl.rollout.rollout import Rollout
from hilserl.runs.metrics import RunCounters
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.tasks import make_sim_env
from hilserl.training.config import preset
from hilserl.training.trainer import train
from tests.support.configs import changed

LIMIT = 6


class World:
    """Its state counts the steps of the episode; the task is done from a step on."""

    def __init__(self, done_from: int) -> None:
        self.done_from, self.now = done_from, 0

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
    """Answers claims by a script; thinks where it says None."""

    def __init__(self, answers: Sequence[bool | None] = ()) -> None:
        self.answers = list(answers)

    def confirms(self) -> bool | None:
        return self.answers.pop(0) if self.answers else True


class Stage:
    """A rollout with everything that it told."""

    def __init__(self, spec: ExperienceSpec, done_from: int, seen: set[int], operator: Any = None) -> None:
        self.steps: list[Step] = []
        self.episodes: list[EpisodeSummary] = []
        self.judged: list[int] = []
        world, self.operator = World(done_from), operator or Doubter()

        def judge(observation: dict[str, np.ndarray]) -> bool:
            self.judged.append(int(observation["state"][0]))
            return self.judged[-1] in seen

        self.rollout = Rollout(world, spec, self.operator, [self], 0, "test", judge=judge)  # pyright: ignore[reportArgumentType]

    def go(self, calls: int = 20) -> "Stage":
        """So many calls of the loop, or one episode."""
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


def test_the_judge_ends_the_episode_and_gives_the_reward_and_the_truth_is_noted(state_spec: ExperienceSpec) -> None:
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


def test_a_judge_that_is_fooled_is_believed_and_counted(state_spec: ExperienceSpec) -> None:
    stage, tally = Stage(state_spec, done_from=100, seen={3}).go(), RunCounters()
    for step in stage.steps:
        tally.on_step(step)
    tally.on_episode(stage.steps, stage.episodes[0])
    assert told(stage.steps[-1]) == (1.0, True, False, True, True, False)
    assert (tally.called_successes, tally.fooled, tally.agreement) == (1, 1, pytest.approx(2 / 3))


def test_a_judge_that_sees_nothing_leaves_it_to_the_time_limit(state_spec: ExperienceSpec) -> None:
    stage = Stage(state_spec, done_from=1, seen=set()).go()
    assert told(stage.steps[-1]) == (0.0, False, True, False, False, True)
    assert len(stage.steps) == LIMIT + 1
    assert not stage.episodes[0].success
    assert stage.episodes[0].truth


def test_a_success_in_the_last_step_is_a_success_and_no_time_limit(state_spec: ExperienceSpec) -> None:
    last = Stage(state_spec, done_from=1, seen={LIMIT}).go().steps[-1]
    assert (last.terminated, last.truncated) == (True, False)


def test_what_a_person_denies_earns_nothing_and_the_episode_goes_on(state_spec: ExperienceSpec) -> None:
    stage = Stage(state_spec, done_from=100, seen={2, 3, 5}, operator=Doubter([None, None, False, False, True])).go()
    assert [told(step)[:5] for step in stage.steps[1:]] == [
        (0.0, False, False, False, False),
        (0.0, False, False, False, True),
        (0.0, False, False, False, True),
        (0.0, False, False, False, False),
        (1.0, True, False, True, True),
    ]
    assert stage.judged == [1, 2, 3, 4, 5], "while somebody thinks, time stands still and nothing is judged anew"
    assert stage.episodes[0].denied_steps == 2
    assert all(later.index == earlier.index + 1 for earlier, later in pairwise(stage.steps))


def test_a_denial_in_the_last_step_is_a_time_limit(state_spec: ExperienceSpec) -> None:
    stage = Stage(state_spec, done_from=100, seen={LIMIT}, operator=Doubter([False])).go()
    assert told(stage.steps[-1]) == (0.0, False, True, False, True, False)
    assert not stage.episodes[0].success


def test_a_claim_that_nobody_answered_before_the_end_of_the_run_stands(state_spec: ExperienceSpec) -> None:
    stage = Stage(state_spec, done_from=100, seen={2}, operator=Doubter([None] * 9)).go(5)
    assert len(stage.steps) == 2, "it is not told before it is known"
    stage.rollout.end_episode()
    assert told(stage.steps[-1]) == (1.0, True, False, True, True, False)
    assert len(stage.episodes) == 1
    assert stage.rollout.between_episodes


def test_a_persons_own_verdict_needs_no_confirmation(state_spec: ExperienceSpec) -> None:
    class Judging(Doubter):
        def intent(self) -> Intent:
            return Intent(False, verdict=Verdict.FAILURE)

    stage = Stage(state_spec, done_from=100, seen={1}, operator=Judging([None] * 9)).go(2)
    assert told(stage.steps[-1])[:5] == (0.0, False, True, False, True)


class Keys:
    """A source whose commands are set by hand."""

    name = "keys"

    def __init__(self) -> None:
        self.commands: tuple[Command, ...] = ()

    def read(self) -> Reading:
        commands, self.commands = self.commands, ()
        return Reading(present=True, motion=(0.0,), commands=commands)


@pytest.mark.parametrize(
    ("command", "answer"), [(Command.FAILURE, False), (Command.SUCCESS, True), (Command.END, True), (None, None)]
)
def test_a_person_has_two_seconds_to_deny(state_spec: ExperienceSpec, command: Command | None, answer: bool) -> None:
    keys, now, idles = Keys(), [0.0], []
    person = HumanOperator([keys], state_spec.action, Role(), None, lambda: idles.append(1), lambda: now[0])
    assert person.confirms() is None
    assert "success" in person.message
    keys.commands = (command,) if command else ()
    assert person.confirms() is answer
    if command is None:
        now[0] = 2.0
        assert person.confirms() is True
        assert len(idles) == 2
    if command is not Command.END:
        assert person.confirms() is None, "the next claim has its own two seconds"


def test_a_simulated_person_calls_a_success_after_having_seen_it_for_a_while() -> None:
    with make_sim_env("pick_cube", ends_on_success=False) as env:
        config = SimulatedOperatorConfig(first_patience_steps=0, motion_noise=0.0)
        operator = SimulatedOperator(env.supervision, env.experience.action, config, 0, gives_reward=True)
        stage = Stage(env.experience, 0, set(), operator)
        stage.rollout = Rollout(env, env.experience, operator, [stage], 0, "test", judge=lambda _: False)
        while not stage.episodes:
            stage.rollout.step(lambda observation: (np.zeros(4, np.float32), 0))  # noqa: ARG005
        (summary,) = stage.episodes
        assert summary.success
        assert summary.truth
        assert sum(step.truth for step in stage.steps) == config.reaction_delay_steps + 2
        assert [step.success for step in stage.steps] == [False] * (len(stage.steps) - 1) + [True]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"reward": "classifier"}, "--classifier FILE"),
        ({"classifier": Path("x")}, "--classifier FILE"),
        ({"reward": "classifier", "classifier": Path("x"), "obs": "state"}, "--obs pixels"),
        ({"reward": "human", "operator": "none"}, "--operator none"),
    ],
)
def test_rewards_that_cannot_be_are_refused(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HilserlError, match=complaint):
        changed(preset("pick_cube"), **changes)


class EveryFifth:
    """A classifier that takes every fifth picture that it is shown for a success."""

    def __init__(self) -> None:
        self.shown = 0

    @classmethod
    def load(cls, path: Path) -> "EveryFifth":
        assert path.name == "cube.safetensors"
        return cls()

    def predictor(self, spec: ExperienceSpec, encoded: object = None) -> Any:
        del encoded
        assert [name for name, _ in spec.images] == ["front", "wrist", "side"], "the policy's, and the classifier's"

        def judge(observation: dict[str, np.ndarray]) -> Prediction:
            assert observation["side"].shape == (32, 32, 3)
            self.shown += 1
            return Prediction(self.shown % 5 == 0, 0.5, 0)

        return judge


def test_a_run_learns_from_what_its_classifier_says_and_keeps_what_fooled_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilserl.rewards.reward_fn.RewardClassifier", EveryFifth)
    monkeypatch.setattr("hilserl.training.run.film", lambda *_: None)
    monkeypatch.setattr("hilserl.tasks.pick_cube.PickCube.max_episode_steps", 8)
    config = changed(
        preset("pick_cube"),
        reward="classifier",
        classifier=tmp_path / "cube.safetensors",
        image_size=32,
        demonstrations=2,
        operator="none",
        max_env_steps=12,
        training_starts=1,
        update_steps_per_env_step=0.2,
        eval_every=100,
        final_eval_episodes=1,
        agent=AgentConfig(hidden=(16,), num_critics=2, batch_size=8, utd_ratio=1),
    )
    run = RunDir(tmp_path / "run")
    result = train(config, run)
    assert result
    assert result["reward"]["called_successes"] == result["reward"]["fooled_episodes"] == 2
    assert result["reward"]["agreement"] < 1
    (_, spec) = read_episode(run.episodes / "000000.parquet")
    demonstrations = [*read_episodes(run.demonstrations, spec)]
    assert [len(steps) for steps in demonstrations] == [6, 6], "they, too, end when the classifier says so"
    episodes = [*read_episodes(run.episodes, spec)]
    assert [(steps[-1].success, steps[-1].reward, steps[-1].truth) for steps in episodes[:2]] == [
        (True, 1.0, False)
    ] * 2
    mistake, seen = read_episode(run.mistakes / "000000.parquet")
    assert not any(step.success for step in mistake), "labelled by the truth, for the next classifier"
    assert [name for name, _ in seen.images] == ["side", "wrist"]
    resumed = train(replace(config, max_env_steps=22), run, resume=True)
    assert resumed
    assert resumed["reward"]["called_successes"] == 4


def test_settings_under_which_a_classifier_would_judge_something_else_are_refused(tmp_path: Path) -> None:
    judged = replace(preset("pick_cube"), reward="classifier", classifier=tmp_path / "cube.safetensors")
    assert changed(judged, crop={"front": (0.0, 0.0, 0.5, 0.5)}).judged
    with pytest.raises(HilserlError, match=r"--env\.crop narrows wrist"):
        changed(judged, crop={"wrist": (0.0, 0.0, 0.5, 0.5)})
    with pytest.raises(HilserlError, match="--obs pixels"):
        changed(judged, obs="state")
    for changes in ({"reward": "success"}, {"classifier": None}):
        with pytest.raises(HilserlError, match="go together"):
            replace(judged, **changes)
