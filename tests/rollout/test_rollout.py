"""Episodes end, start again or are discarded, and every subscriber agrees."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.episodes import read_episode, write_episode
from hilserl.data.replay import Replay
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step, Transitions
from hilserl.data.subscriber import Subscriber
from hilserl.operators.operator import Operator
from hilserl.operators.takeover import GripperRequest, Intent, Verdict
from hilserl.rollout.rollout import EpisodeSeeds, Rollout, seed_for
from hilserl.runs.run_dir import EpisodeWriter

SEED = 5


WATCH, DRIVE, HOLD = Intent(False), Intent(True, (0.25,), (GripperRequest.HOLD,)), Intent(True, hold=True)


SUCCESS, FAILURE, RESET, DISCARD = (replace(WATCH, verdict=verdict) for verdict in Verdict)


class CountingEnv:
    """It counts: its state is 100 times the number of resets plus the steps since."""

    def __init__(self, spec: ExperienceSpec, ending: tuple[float, bool, bool, bool]) -> None:
        self.experience = spec
        self.ending, self.resets, self.steps, self.now = ending, [], 0, 0.0

    def _observe(self) -> dict[str, np.ndarray]:
        return {"state": np.array([self.now, -self.now, 1.0], np.float32)}

    def reset(self, seed: int) -> tuple:
        self.resets.append(seed)
        self.now = 100.0 * len(self.resets)
        return self._observe(), {}

    def step(self, action: np.ndarray) -> tuple:
        del action
        self.steps, self.now = self.steps + 1, self.now + 1
        *outcome, success = self.ending
        return self._observe(), *outcome, {"success": success}


NOTHING = (0.0, False, False, False)


ENDINGS = [NOTHING, (1.0, True, False, True), (0.5, False, True, False)]
"""Outcome of each step without an operator: reward, terminated, truncated, success."""


class Stage(Operator, Subscriber):
    """Acts a script out: operator, subscriber and policy in one, beside the files and a replay."""

    def __init__(
        self, spec: ExperienceSpec, directory: Path, intents: Sequence[Intent], ending: tuple = NOTHING
    ) -> None:
        self.env, self.intents, self.replay = CountingEnv(spec, ending), list(intents), Replay(spec, 500)
        self.spec, self.directory, self.proposals = spec, directory / "episodes", 0
        self.steps, self.episodes, self.discarded, self.ends = [], [], [], []
        self.rollout = Rollout(
            self.env, self, [self, EpisodeWriter(self.directory, spec)], EpisodeSeeds(SEED, "test", 3)
        )
        while self.intents:
            self.rollout.step(self.propose)
        self.files = sorted(path.name for path in self.directory.glob("*"))

    def intent(self) -> Intent:
        return self.intents.pop(0)

    def end_episode(self, success: bool, intervened: bool) -> None:
        self.ends.append((success, intervened))

    def propose(self, observation: dict[str, np.ndarray]) -> tuple[np.ndarray, int]:
        del observation
        self.proposals += 1
        return np.full(2, -0.5, np.float32), 7

    def on_step(self, step: Step) -> None:
        self.steps.append(step)
        self.replay.add(step)

    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        self.episodes.append((list(steps), summary))

    def on_discard(self, episode: int) -> None:
        self.discarded.append(episode)
        self.replay.forget(episode)

    def learnable(self) -> Transitions:
        return self.replay.transitions(self.replay.online_rows())


@pytest.fixture
def act(state_spec: ExperienceSpec, tmp_path: Path):
    return lambda *intents, **ending: Stage(state_spec, tmp_path, intents, **ending)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("hand", [WATCH, DRIVE])
@pytest.mark.parametrize("verdict", [Verdict.SUCCESS, Verdict.FAILURE])
def test_verdict_ends_the_episode(act, ending, hand, verdict) -> None:
    stage = act(replace(hand, verdict=verdict), ending=ending)
    ((steps, summary),) = stage.episodes
    last, good = steps[-1], verdict is Verdict.SUCCESS
    assert (last.reward, last.terminated, last.truncated, last.success) == (float(good), good, not good, good)
    assert last.intervened == hand.engaged
    assert summary.success is good
    assert summary.autonomous_success == (good and not hand.engaged)
    assert stage.ends == [(good, hand.engaged)]
    assert stage.rollout.episode == 4
    assert stage.learnable().bootstrap.tolist() == [0.0 if good else 1.0], "a failure is like a time limit"


def test_reset_keeps_the_episode_cut_short(act) -> None:
    stage = act(WATCH, DRIVE, RESET, WATCH, RESET)
    assert [len(steps) for steps, _ in stage.episodes] == [3, 2]
    assert not any(step.ends_episode or step.success for steps, _ in stage.episodes for step in steps)
    assert [summary.episode for _, summary in stage.episodes] == [3, 4]
    assert stage.env.steps == 3, "the verdict itself is no step"
    assert stage.files == ["000003.parquet", "000004.parquet"]
    assert stage.discarded == []
    assert stage.ends == [(False, True), (False, False)]
    assert stage.learnable().next_observation["state"][:, 0].tolist() == [101, 102, 201]
    assert stage.learnable().bootstrap.all()


@pytest.mark.parametrize("verdict", [RESET, DISCARD])
def test_reset_before_the_first_step_is_harmless(act, verdict: Intent) -> None:
    stage = act(verdict, verdict, HOLD, verdict, WATCH, SUCCESS, verdict, DRIVE)
    ((steps, summary),) = stage.episodes
    assert stage.files == [f"{summary.episode:06d}.parquet"]
    assert [step.index for step in steps] == [0, 1, 2]
    assert len({step.episode for step in stage.steps}) == len(stage.env.resets) == 6
    found = stage.learnable()
    assert (found.next_observation["state"][:, 0] - found.observation["state"][:, 0]).tolist() == [1, 1, 1]


def test_discarded_episode_is_taken_back_everywhere(act) -> None:
    stage = act(WATCH, SUCCESS, DRIVE, DRIVE, DISCARD, WATCH, FAILURE)
    assert stage.discarded == [4]
    assert [summary.episode for _, summary in stage.episodes] == [3, 5]
    assert stage.files == ["000003.parquet", "000005.parquet"]
    assert stage.env.steps == 6
    assert stage.learnable().next_observation["state"][:, 0].tolist() == [101, 102, 301, 302]
    assert not len(stage.replay.prior_rows())


def test_hold_stops_steps_and_messages(act) -> None:
    held = [HOLD, replace(HOLD, engaged=False), replace(HOLD, verdict=Verdict.SUCCESS)]
    stage = act(*held, WATCH, *held, WATCH, *held)
    assert stage.env.steps == stage.proposals == 2
    assert [step.index for step in stage.steps] == [0, 1, 2]
    assert not stage.episodes
    assert not stage.ends


@pytest.mark.parametrize("truth", [False, True])
@pytest.mark.parametrize("said", [None, False, True])
def test_label_overrides_the_success_and_ends_nothing(act, truth: bool, said: bool | None) -> None:
    stage = act(*[replace(WATCH, success=said)] * 3, ending=(0.0, False, False, truth))
    assert [step.success for step in stage.steps[1:]] == [truth if said is None else said] * 3
    assert not stage.episodes


def test_steps_carry_human_seconds_and_the_seed(act) -> None:
    driven = [DRIVE, replace(DRIVE, seconds=0.75), replace(DRIVE, seconds=0.0)]
    stage = act(WATCH, replace(WATCH, seconds=9.0), *driven, SUCCESS, WATCH, FAILURE)
    (first, summary), (second, _) = stage.episodes
    assert [step.human_seconds for step in first] == [0.0, 0.0, 0.0, 0.1, 0.75, 0.0, 0.0]
    assert summary.human_seconds == pytest.approx(0.85)
    assert {step.seed for step in first} == {seed_for(SEED, "test", 3)} == {stage.env.resets[0]}
    assert {step.seed for step in second} == {seed_for(SEED, "test", 4)} == {stage.env.resets[1]}
    for steps in (first, [replace(step, seed=2**32 - 1) for step in second]):
        write_episode(stage.directory / f"{steps[0].episode:06d}.parquet", steps, stage.spec, replace=True)
        read, _ = read_episode(stage.directory / f"{steps[0].episode:06d}.parquet")
        assert [step.seed for step in read] == [step.seed for step in steps]
        assert [step.human_seconds for step in read] == pytest.approx([step.human_seconds for step in steps])


def facts(step: Step) -> dict[str, object]:
    """Everything but arrays, and seconds, which a file rounds."""
    return {name: value for name, value in vars(step).items() if name not in ("observation", "action", "human_seconds")}


@pytest.mark.parametrize("seed", range(8))
def test_files_and_replay_hold_the_episodes_not_discarded(act, seed: int) -> None:
    rng = np.random.default_rng(seed)
    choices = [WATCH, DRIVE, HOLD, SUCCESS, FAILURE, RESET, DISCARD]
    stage = act(*(choices[i] for i in rng.choice(7, 150, p=[0.35, 0.3, 0.1, 0.05, 0.05, 0.05, 0.1])))
    numbers = [summary.episode for _, summary in stage.episodes]
    assert stage.files == [f"{number:06d}.parquet" for number in numbers]
    for steps, summary in stage.episodes:
        read, _ = read_episode(stage.directory / f"{summary.episode:06d}.parquet")
        assert [facts(step) for step in read] == [facts(step) for step in steps]
    begun = sorted({step.episode for step in stage.steps})
    assert begun == list(range(3, 3 + len(stage.env.resets))), "every episode has a number of its own"
    assert sorted(numbers + stage.discarded) in (begun, begun[:-1])
    alive = [s for s in stage.steps if s.episode not in stage.discarded and not s.is_reset]
    assert stage.learnable().next_observation["state"][:, 0].tolist() == [s.observation["state"][0] for s in alive]
    prior = stage.replay.transitions(stage.replay.prior_rows()).next_observation["state"][:, 0]
    assert prior.tolist() == [s.observation["state"][0] for s in alive if s.intervened]
