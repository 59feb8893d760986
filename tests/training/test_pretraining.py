"""Demonstrations are loaded, and a run that pretrains on them resumes exactly."""

import dataclasses
import json
from pathlib import Path

import pytest

from hilserl.data.arrow import to_table
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.datasets.convert import write_lerobot
from hilserl.datasets.lerobot.prepared import EpisodePreparer
from hilserl.errors import HilserlError
from hilserl.rollout.recording import EpisodeRecorder, record_demonstrations
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.tasks import make_sim_env, pick_cube
from hilserl.training.pretraining import load_demonstrations
from hilserl.training.trainer import train
from tests.support.recorded import stored
from tests.support.runs import WRITE_VIDEO, config, same_weights, weights
from tests.support.steps import make_episode


@pytest.fixture(autouse=True)
def no_video(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)


def test_resumed_run_equals_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demos, env = tmp_path / "demos", make_sim_env("pick_cube", obs="state")
    record_demonstrations(env, EpisodeRecorder(demos, env.experience, 1), 0, config().simulated_operator)
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)
    settings = config(agent=dataclasses.replace(config().agent, cloning_weight=0.01), cloning_updates=6, demos=(demos,))
    whole, halves = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    train(settings, whole)
    train(dataclasses.replace(settings, max_env_steps=2), halves)
    train(settings, halves, resume=True)
    assert same_weights(weights(whole, 4), weights(halves, 4))
    state = json.loads((halves.checkpoints / "4" / "state.json").read_text())
    assert (state["env_steps"], state["update_steps"]) == (4, 3 + 4)


def test_lerobot_dataset_gives_the_demonstrations_that_it_was_made_of(tmp_path: Path) -> None:
    demos, env = tmp_path / "demos", make_sim_env("pick_cube", obs="state")
    record_demonstrations(env, EpisodeRecorder(demos, env.experience, 2), 0, config().simulated_operator)
    episodes = list(read_episodes(demos))
    write_lerobot(tmp_path / "dataset", stored(episodes, env.experience), EpisodePreparer(env.experience), "")
    both = [
        load_demonstrations(config(demos=(given,)), RunDir(tmp_path / "run"), env.experience)
        for given in (demos, tmp_path / "dataset")
    ]
    assert to_table(both[0], env.experience).equals(to_table(both[1], env.experience))


@pytest.fixture
def finished(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    train(config(max_env_steps=6), run)
    return run


def test_demonstrations_of_another_task_are_refused(tmp_path: Path, spec: ExperienceSpec) -> None:
    write_episode(tmp_path / "demos" / "000000.parquet", make_episode(0, 3), spec)
    with pytest.raises(HilserlError, match=r"task is toy, expected pick_cube"):
        train(config(demos=(tmp_path / "demos",)), RunDir(tmp_path / "run"))
    with pytest.raises(HilserlError, match="no directory"):
        train(config(demos=(tmp_path / "absent",)), RunDir(tmp_path / "other"))


def test_given_demonstrations_are_used_instead_of_new_ones(finished: RunDir, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "second")
    train(config(demos=(finished.demonstrations,), max_env_steps=2), run)
    assert not run.demonstrations.exists()
