"""What an operator says of an episode: it ends, starts again or is forgotten, and everybody downstream agrees."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hilserl.agents.agent import AgentConfig
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
from hilserl.training.learner import Learner
from hilserl.training.local_learner import ThreadedLearner
from tests.support.configs import train_config
from tests.support.steps import make_episode, make_step

SEED = 5
WATCH, DRIVE, HOLD = Intent(False), Intent(True, (0.25,), (GripperRequest.HOLD,)), Intent(True, hold=True)
SUCCESS, FAILURE, RESET, DISCARD = (replace(WATCH, verdict=verdict) for verdict in Verdict)


class World:
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
"""What the world says of each step by itself: reward, terminated, truncated, success."""


class Stage(Operator, Subscriber):
    """Acts a script out: operator, subscriber and policy in one, beside the files and a replay."""

    def __init__(self, spec: ExperienceSpec, folder: Path, intents: Sequence[Intent], ending: tuple = NOTHING) -> None:
        self.env, self.intents, self.replay = World(spec, ending), list(intents), Replay(spec, 500)
        self.spec, self.folder, self.proposals = spec, folder / "episodes", 0
        self.steps, self.episodes, self.discarded, self.ends = [], [], [], []
        self.rollout = Rollout(self.env, self, [self, EpisodeWriter(self.folder, spec)], EpisodeSeeds(SEED, "test", 3))
        while self.intents:
            self.rollout.step(self.propose)
        self.files = sorted(path.name for path in self.folder.glob("*"))

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
def test_a_verdict_ends_the_episode_whatever_the_world_says(act, ending, hand, verdict) -> None:
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


def test_a_reset_keeps_what_happened_as_an_episode_cut_short(act) -> None:
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
def test_starting_again_before_anything_happened_is_harmless(act, verdict: Intent) -> None:
    stage = act(verdict, verdict, HOLD, verdict, WATCH, SUCCESS, verdict, DRIVE)
    ((steps, summary),) = stage.episodes
    assert stage.files == [f"{summary.episode:06d}.parquet"]
    assert [step.index for step in steps] == [0, 1, 2]
    assert len({step.episode for step in stage.steps}) == len(stage.env.resets) == 6
    found = stage.learnable()
    assert (found.next_observation["state"][:, 0] - found.observation["state"][:, 0]).tolist() == [1, 1, 1]


def test_a_discarded_episode_is_taken_back_everywhere(act) -> None:
    stage = act(WATCH, SUCCESS, DRIVE, DRIVE, DISCARD, WATCH, FAILURE)
    assert stage.discarded == [4]
    assert [summary.episode for _, summary in stage.episodes] == [3, 5]
    assert stage.files == ["000003.parquet", "000005.parquet"]
    assert stage.env.steps == 6
    assert stage.learnable().next_observation["state"][:, 0].tolist() == [101, 102, 301, 302]
    assert not len(stage.replay.prior_rows())


def test_while_time_stands_still_nothing_happens_and_nobody_is_told(act) -> None:
    held = [HOLD, replace(HOLD, engaged=False), replace(HOLD, verdict=Verdict.SUCCESS)]
    stage = act(*held, WATCH, *held, WATCH, *held)
    assert stage.env.steps == stage.proposals == 2
    assert [step.index for step in stage.steps] == [0, 1, 2]
    assert not stage.episodes
    assert not stage.ends


@pytest.mark.parametrize("truth", [False, True])
@pytest.mark.parametrize("said", [None, False, True])
def test_a_label_overrides_the_worlds_success_and_ends_nothing(act, truth: bool, said: bool | None) -> None:
    stage = act(*[replace(WATCH, success=said)] * 3, ending=(0.0, False, False, truth))
    assert [step.success for step in stage.steps[1:]] == [truth if said is None else said] * 3
    assert not stage.episodes


def test_each_step_says_how_long_a_person_took_and_what_its_episode_was_reset_with(act) -> None:
    driven = [DRIVE, replace(DRIVE, seconds=0.75), replace(DRIVE, seconds=0.0)]
    stage = act(WATCH, replace(WATCH, seconds=9.0), *driven, SUCCESS, WATCH, FAILURE)
    (first, summary), (second, _) = stage.episodes
    assert [step.human_seconds for step in first] == [0.0, 0.0, 0.0, 0.1, 0.75, 0.0, 0.0]
    assert summary.human_seconds == pytest.approx(0.85)
    assert {step.seed for step in first} == {seed_for(SEED, "test", 3)} == {stage.env.resets[0]}
    assert {step.seed for step in second} == {seed_for(SEED, "test", 4)} == {stage.env.resets[1]}
    for steps in (first, [replace(step, seed=2**32 - 1) for step in second]):
        write_episode(stage.folder / f"{steps[0].episode:06d}.parquet", steps, stage.spec)
        read, _ = read_episode(stage.folder / f"{steps[0].episode:06d}.parquet")
        assert [step.seed for step in read] == [step.seed for step in steps]
        assert [step.human_seconds for step in read] == pytest.approx([step.human_seconds for step in steps])


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_said_files_and_replay_hold_the_episodes_that_were_not_discarded(act, seed: int) -> None:
    rng = np.random.default_rng(seed)
    choices = [WATCH, DRIVE, HOLD, SUCCESS, FAILURE, RESET, DISCARD]
    stage = act(*(choices[i] for i in rng.choice(7, 150, p=[0.35, 0.3, 0.1, 0.05, 0.05, 0.05, 0.1])))
    numbers = [summary.episode for _, summary in stage.episodes]
    assert stage.files == [f"{number:06d}.parquet" for number in numbers]
    for steps, summary in stage.episodes:
        read, _ = read_episode(stage.folder / f"{summary.episode:06d}.parquet")
        for pair in zip(read, steps, strict=True):
            there, here = (replace(step, observation={}, action=None, human_seconds=0.0) for step in pair)
            assert there == here
    begun = sorted({step.episode for step in stage.steps})
    assert begun == list(range(3, 3 + len(stage.env.resets))), "every episode has a number of its own"
    assert sorted(numbers + stage.discarded) in (begun, begun[:-1])
    alive = [s for s in stage.steps if s.episode not in stage.discarded and not s.is_reset]
    assert stage.learnable().next_observation["state"][:, 0].tolist() == [s.observation["state"][0] for s in alive]
    prior = stage.replay.transitions(stage.replay.prior_rows()).next_observation["state"][:, 0]
    assert prior.tolist() == [s.observation["state"][0] for s in alive if s.intervened]


@pytest.mark.parametrize("capacity", [2, 3, 7, 12, 40])
@pytest.mark.parametrize("seed", range(4))
def test_forgetting_takes_one_episode_out_of_a_ring_and_nothing_else(state_spec, capacity: int, seed: int) -> None:
    """Against a list of all that was written: a transition is there while both its rows are among the last ones."""
    rng = np.random.default_rng([seed, capacity])
    replay = Replay(state_spec, capacity, prior=make_episode(9_000, 4, camera=False, terminated=True))
    written: list[tuple[int, int, bool]] = []  # who, index, intervened
    running: dict[int, tuple[int, int]] = {}  # episode number: who, next index
    forgotten: set[int] = set()
    who = itertools.count(1)

    def pairs(rows: np.ndarray) -> Counter:
        found = replay.transitions(rows)
        return Counter(zip(found.observation["state"][:, 0], found.next_observation["state"][:, 0], strict=True))

    for _ in range(250):
        number = int(rng.integers(3))
        if rng.random() < 0.1:
            replay.forget(number)
            replay.forget(9_000)
            forgotten.add(running.pop(number, (0, 0))[0])
        else:
            mine, index = running.pop(number, None) or (next(who), 0)
            ends, intervened = bool(index and rng.random() < 0.15), bool(index and rng.random() < 0.4)
            value = 100.0 * mine + index
            replay.add(make_step(number, index, value, camera=False, truncated=ends, intervened=intervened))
            written.append((mine, index, intervened))
            if not ends:
                running[number] = (mine, index + 1)
        last = written[-capacity:]
        there = {(w, i) for w, i, _ in last if w not in forgotten}
        true = [(100 * w + i - 1, 100 * w + i, flag) for w, i, flag in last if {(w, i), (w, i - 1)} <= there]
        assert pairs(replay.online_rows()) == Counter((a, b) for a, b, _ in true)
        demonstrations = Counter((900_000 + i, 900_001 + i) for i in range(4))
        assert pairs(replay.prior_rows()) == Counter((a, b) for a, b, flag in true if flag) + demonstrations


class Rounds:
    """A learner that only counts: two rounds a step."""

    def __init__(self) -> None:
        self.online_steps, self.update_steps, self.log = 0, 0, []
        self.gate, self.learning, self.failure = threading.Event(), threading.Event(), None
        self.gate.set()

    @property
    def owed(self) -> int:
        return 2 * self.online_steps - self.update_steps

    def receive(self, step: Step) -> None:
        self.log.append((step.episode, step.index))
        self.online_steps += not step.is_reset

    def forget(self, episode: int) -> None:
        self.log.append((episode,))

    def learn(self) -> None:
        self.learning.set()
        self.gate.wait()
        if self.failure:
            raise self.failure
        self.update_steps += 1


def within_reason(work: Callable[..., object], *arguments: object) -> None:
    """Does the work in a thread, so that what would wait for ever fails instead."""
    done: Future[object] = Future()

    def run() -> None:
        try:
            done.set_result(work(*arguments))
        except BaseException as error:  # noqa: BLE001 - it is raised again by `result`
            done.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    done.result(timeout=60)


def test_beside_a_policy_the_learner_is_never_far_behind_and_never_ahead() -> None:
    learner = Rounds()
    link = ThreadedLearner(learner)

    def work() -> None:
        for done, step in enumerate(make_episode(0, 40)):
            link.send(step)
            assert 2 * (done - 2) <= learner.update_steps <= 2 * done
        link.close()

    within_reason(work)
    assert 2 * 38 <= learner.update_steps <= 2 * learner.online_steps == 2 * 40


def test_a_person_never_waits_for_the_learner_and_a_forgotten_episode_comes_in_order() -> None:
    learner = Rounds()
    link = ThreadedLearner(learner)
    learner.gate.clear()
    episodes = [make_episode(number, 9, intervened=tuple(range(1, 10)))[:-1] for number in (1, 2)]

    def work() -> None:
        link.send(episodes[0][0])
        link.send(episodes[0][1])
        learner.learning.wait()
        for step in episodes[0][2:]:
            link.send(step)
        link.forget(1)
        assert learner.update_steps == 0, "the learner still is at its first round"
        learner.gate.set()
        for step in episodes[1]:
            link.send(step)
        link.send(replace(make_step(2, 9), truncated=True))
        assert learner.update_steps >= 2 * 15, "the policy's step waits for what is owed"
        link.close()

    within_reason(work)
    assert learner.log == [*((1, i) for i in range(9)), (1,), *((2, i) for i in range(10))]
    assert learner.update_steps <= 2 * learner.online_steps


def test_what_stops_the_learner_beside_it_stops_the_actor() -> None:
    learner = Rounds()
    learner.failure = ZeroDivisionError("no more")
    link = ThreadedLearner(learner)
    with pytest.raises(ZeroDivisionError):
        within_reason(lambda: [link.send(step) for step in make_episode(0, 5)])
    with pytest.raises(ZeroDivisionError):
        link.close()


def test_a_learner_that_has_nothing_left_after_a_discard_waits_for_more(state_spec: ExperienceSpec) -> None:
    config = train_config("toy", obs="state", training_starts=1, agent=AgentConfig(hidden=(16, 16)))
    learner = Learner(state_spec, config, [])
    for step in make_episode(0, 3, camera=False)[:-1]:
        learner.receive(step)
    learner.forget(0)
    link = ThreadedLearner(learner)

    for number in range(1, 40):  # Resets alone: there is nothing to learn from yet.
        within_reason(link.send, make_step(number, 0, camera=False))
        time.sleep(0.01)
    link.close()
    assert learner.update_steps == 0
