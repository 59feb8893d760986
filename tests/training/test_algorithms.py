"""Algorithms learn from their own data, resume exactly, and refuse settings that they cannot use."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.cli.main import main
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step, Transitions
from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.runs.checkpoint import steps_in
from hilserl.runs.run_dir import RunDir
from hilserl.tasks import make_sim_env, pick_cube
from hilserl.training import learner as learner_module
from hilserl.training.algorithms import ALGORITHMS, find_algorithm
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import from_json, to_json
from hilserl.training.learner import Learner
from hilserl.training.trainer import train
from tests.support.batches import SMALL, moved
from tests.support.runs import WRITE_VIDEO, config, same_weights, weights
from tests.support.steps import make_episode

CLONING: tuple[str, ...] = ("bc", "hg-dagger")


@pytest.fixture(autouse=True)
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)


def drawn(monkeypatch: pytest.MonkeyPatch, settings: TrainConfig, spec: ExperienceSpec, rounds: int = 80) -> set[float]:
    """Collect the contents of a learner's batches, as the first number of each action.

    The learner has demonstrations 10 to 19 and the online episodes 1 and 2. In episode 1 the operator chose steps 3 and
    4.
    """
    demonstrations = [step for k in range(10, 20) for step in make_episode(k, 3, terminated=True, camera=False)]
    learner, seen = Learner(spec, settings, demonstrations), set()

    def spy(agent: Any, batches: Transitions, _: Any) -> Any:
        seen.update(np.round(1000 * np.asarray(batches.action)[..., 0].ravel()).tolist())
        return agent, {}

    monkeypatch.setattr(learner_module, "update_step", spy)
    for step in make_episode(1, 4, intervened=(3, 4), camera=False) + make_episode(2, 3, camera=False):
        learner.receive(step)
    for _ in range(rounds):
        learner.learn()
    return seen


DEMONSTRATED = {100.0 * number + index for number in range(10, 20) for index in (1, 2, 3)}

LEARNED_FROM = {value for value in DEMONSTRATED if value < 1900}
"""The tenth demonstration is held out."""

HELPED, ALONE = {103.0, 104.0}, {101.0, 102.0, 201.0, 202.0, 203.0}


@pytest.mark.parametrize(
    ("algorithm", "data"),
    [
        ("rlpd", DEMONSTRATED | HELPED | ALONE),
        ("sac", HELPED | ALONE),
        ("hg-dagger", LEARNED_FROM | HELPED),
    ],
)
def test_algorithms_learn_from_their_own_data(
    monkeypatch: pytest.MonkeyPatch, state_spec: ExperienceSpec, algorithm: str, data: set[float]
) -> None:
    assert drawn(monkeypatch, config(algorithm=algorithm), state_spec) == data


def test_sac_waits_for_experience_whatever_was_demonstrated(state_spec: ExperienceSpec) -> None:
    learner = Learner(state_spec, config(algorithm="sac"), make_episode(10, 3, camera=False))
    learner.online_steps = 50
    assert not learner.ready


def test_held_out_demonstrations_are_measured(state_spec: ExperienceSpec) -> None:
    demonstrations = [step for number in range(10) for step in make_episode(number, 3, camera=False)]
    learner = Learner(state_spec, config(algorithm="bc"), demonstrations)
    assert np.isfinite(learner.held_out_loss()["held_out_cloning_loss"])
    few = Learner(state_spec, config(algorithm="bc"), demonstrations[:4])
    assert few.held_out_loss() == {}


@pytest.fixture
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recorded demonstrations of pick_cube from state."""
    directory = tmp_path_factory.mktemp("demos") / "state"
    assert main(["record", "pick_cube", "--obs", "state", "--successes", "2", "--out", str(directory)]) == 0
    return directory


@pytest.mark.usefixtures("short_episodes")
@pytest.mark.parametrize("algorithm", ["hg-dagger", "sac"])
def test_resumed_run_equals_a_whole_one(tmp_path: Path, demos: Path, algorithm: str) -> None:
    settings = config(algorithm=algorithm, cloning_updates=6, demos=() if algorithm == "sac" else (demos,))
    whole, halves = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    train(settings, whole)
    train(dataclasses.replace(settings, max_env_steps=2), halves)
    train(settings, halves, resume=True)
    assert same_weights(weights(whole, 4), weights(halves, 4))
    assert not same_weights(weights(halves, 2), weights(halves, 4))
    state = json.loads((halves.checkpoints / "4" / "state.json").read_text())
    assert (state["env_steps"], state["update_steps"]) == (4, 4 if algorithm == "sac" else 3 + 4)


class InterruptAfter(Interrupt):
    """Interrupt that is requested after some reads of `requested`."""

    def __init__(self, times: int) -> None:
        self._left = times

    @property
    def requested(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        self._left -= 1
        return self._left < 0

    @requested.setter
    def requested(self, value: bool) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        del value


@pytest.mark.usefixtures("short_episodes")
def test_interrupted_cloning_resumes(tmp_path: Path, demos: Path) -> None:
    settings = config(algorithm="bc", cloning_updates=12, demos=(demos,))
    whole, halves = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    result = train(settings, whole)
    assert train(settings, halves, interrupt=InterruptAfter(3)) is None
    assert 0 < steps_in(halves.checkpoints)[-1] < 6
    assert train(settings, halves, resume=True) is not None
    assert same_weights(weights(whole, 6), weights(halves, 6))
    assert result is not None
    assert (result["env_steps"], result["human_steps"], result["updates"]) == (0, 0, 12)
    seconds = sum(step.human_seconds for path in (demos,) for step in steps_of(path))
    assert result["demonstration_seconds"] == pytest.approx(seconds, abs=0.1)
    assert seconds > 2


def steps_of(directory: Path) -> Sequence[Step]:
    from hilserl.runs.run_dir import read_episodes

    env = make_sim_env("pick_cube", obs="state")
    return [step for episode in read_episodes(directory, env.experience) for step in episode]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithm_survives_the_configuration_file(algorithm: str) -> None:
    assert from_json(to_json(config(algorithm=algorithm))).algorithm == algorithm


def test_settings_that_an_algorithm_cannot_use_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match="sac does not learn from demonstrations"):
        config(algorithm="sac", demos=(tmp_path,))
    for changes in ({"free_running": True}, {"operator": "gamepad"}):
        with pytest.raises(HilserlError, match="bc does not act"):
            config(algorithm="bc", **changes)
    with pytest.raises(HilserlError, match=r"algorithm 'magic'.*rlpd"):
        from_json(to_json(config()).replace('"rlpd"', '"magic"'))


def test_demonstrations_without_images_are_refused_from_pixels(tmp_path: Path, demos: Path) -> None:
    run = RunDir(tmp_path / "run")
    with pytest.raises(HilserlError, match="camera front is none, expected 128 x 128; camera wrist is none"):
        train(config(algorithm="bc", obs="pixels", demos=(demos,)), run)
    assert not run.path.exists()


def test_empty_directory_of_demonstrations_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for algorithm in CLONING:
        with pytest.raises(HilserlError, match="empty"):
            train(config(algorithm=algorithm, demos=(tmp_path / "empty",)), RunDir(tmp_path / algorithm))


def test_demonstrations_of_one_step_are_enough(tmp_path: Path) -> None:
    env = make_sim_env("pick_cube", obs="state")
    write_episode(tmp_path / "demos" / "000000.parquet", list(steps_of_one(env)), env.experience)
    settings = config(algorithm="bc", cloning_updates=2, demos=(tmp_path / "demos",))
    learner = Learner(env.experience, settings, list(steps_of_one(env)))
    learner.learn()
    assert learner.update_steps == 1


def steps_of_one(env: Any) -> Sequence[Step]:
    observation, _ = env.reset(seed=0)
    nothing = np.zeros(env.experience.action.size, np.float32)
    return [
        Step(0, 0, observation, nothing),
        Step(0, 1, observation, nothing, reward=1.0, terminated=True, success=True, intervened=True),
    ]


CLONES = dataclasses.replace(SMALL, cloning_weight=1.0)


def test_sac_has_no_cloning_weight(state_spec: ExperienceSpec) -> None:
    assert ALGORITHMS["sac"].create(state_spec, CLONES, 0).config.cloning_weight == 0
    assert ALGORITHMS["rlpd"].create(state_spec, CLONES, 0).config.cloning_weight == 1


def test_pretraining_needs_demonstrations(state_spec: ExperienceSpec) -> None:
    demonstrations = make_episode(9, 3, terminated=True, camera=False)
    for settings, prior, rounds in (
        (config(agent=CLONES, cloning_updates=5), demonstrations, 3),
        (config(agent=CLONES, cloning_updates=5), [], 0),
        (config(agent=SMALL, cloning_updates=5), demonstrations, 0),
    ):
        assert Learner(state_spec, settings, prior).pretraining_update_steps == rounds


def test_ema_actor_starts_at_the_pretrained_actor(state_spec: ExperienceSpec) -> None:
    """Not by an average that reaches back to where it knew nothing."""
    demonstrations = make_episode(9, 3, terminated=True, camera=False)
    learner = Learner(state_spec, config(agent=CLONES, cloning_updates=6), demonstrations)
    for round_number in range(1, 5):
        learner.learn()
        agent, _ = learner.snapshot
        assert moved(agent.actor, agent.ema_actor) == (round_number != learner.pretraining_update_steps == 3)


def test_rlif_rewards_nothing_but_takeovers(monkeypatch: pytest.MonkeyPatch, state_spec: ExperienceSpec) -> None:
    learner = Learner(state_spec, config(algorithm="rlif"), make_episode(9, 3, terminated=True, camera=False))
    rewards: dict[float, float] = {}

    def spy(agent: Any, batches: Transitions, _: Any) -> Any:
        assert np.isneginf(batches.return_to_go).all()
        values = np.asarray(batches.next_observation["state"])[..., 0].ravel().tolist()
        rewards.update(zip(values, np.asarray(batches.reward).ravel().tolist(), strict=True))
        return agent, {}

    monkeypatch.setattr(learner_module, "update_step", spy)
    for step in make_episode(1, 5, terminated=True, intervened=(3, 4), camera=False):
        learner.receive(dataclasses.replace(step, reward=float(step.terminated)))
    for _ in range(80):
        learner.learn()
    assert {value: reward for value, reward in rewards.items() if reward} == {102.0: -1.0}
    assert {901.0, 902.0, 903.0, 101.0, 103.0, 105.0} <= rewards.keys()


OWN = """
from hilserl.training.algorithms import ActorCriticAlgorithm, Algorithm

class Dearer(ActorCriticAlgorithm):
    def rewarded(self, batches):
        return batches._replace(reward=batches.reward - 0.5 * batches.taken_over)
"""


def test_algorithm_of_a_file_learns_and_its_run_is_read_again(tmp_path: Path, demos: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    settings = config(algorithm=f"{tmp_path}/own.py:Dearer", demos=(demos,))
    run = RunDir(tmp_path / "run")
    result = train(settings, run)
    assert result is not None
    assert result["algorithm"] == str(tmp_path / "own.py:Dearer")
    assert from_json(to_json(settings)) == settings
    assert type(find_algorithm(settings.algorithm)).__name__ == "Dearer"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("own.py:Nearer", "Unknown algorithm of .*own.py 'Nearer'. Did you mean 'Dearer'"),
        ("own.py:Algorithm", "Available: Dearer"),
        ("none.py:Dearer", "cannot be loaded: there is no Python file"),
        ("broken.py:Dearer", "cannot be loaded: ZeroDivisionError"),
    ],
)
def test_algorithm_that_a_file_lacks_is_named(tmp_path: Path, name: str, complaint: str) -> None:
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("1 / 0")
    with pytest.raises(HilserlError, match=complaint):
        train(config(algorithm=f"{tmp_path}/{name}"), RunDir(tmp_path / "run"))
    assert not (tmp_path / "run").exists()
