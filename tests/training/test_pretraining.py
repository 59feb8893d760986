"""Demonstrations are loaded, and a run that pretrains on them resumes exactly."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.data.arrow import to_table
from hilserl.data.episodes import episode_files, read_episode_spec, write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.datasets.convert import write_lerobot
from hilserl.datasets.lerobot.prepared import EpisodePreparer
from hilserl.errors import HilserlError
from hilserl.rollout.recording import EpisodeRecorder, record_demonstrations
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.tasks import make_sim_env, pick_cube
from hilserl.training.config import with_settings
from hilserl.training.learner import Learner
from hilserl.training.pretraining import load_demonstrations, start_from_another_run
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


def test_run_that_starts_from_another_begins_with_its_best_weights(finished: RunDir, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "second")
    train(config(init_from=finished.path, max_env_steps=1, training_starts=2), run)
    begun, given = weights(run, 1), weights(finished, 6)
    assert all(np.array_equal(begun[name], given[name]) for name in begun if not name.startswith("optimizers"))
    assert not begun["optimizers.values[0].count"]


def test_start_from_another_run_leaves_out_cloning_before_acting(finished: RunDir) -> None:
    agent = dataclasses.replace(config().agent, cloning_weight=0.1)
    spec = read_episode_spec(episode_files(finished.episodes)[0])
    demonstrations = [step for episode in read_episodes(finished.demonstrations) for step in episode]
    anew, on = (
        Learner(spec, config(agent=agent, algorithm=name, init_from=path), demonstrations).pretraining_update_steps
        for name, path in (("hg-dagger", None), ("rlpd", finished.path))
    )
    assert (anew > 0, on) == (True, 0)


def test_start_from_another_run_takes_its_experience_along(finished: RunDir, tmp_path: Path) -> None:
    settings = config(init_from=finished.path, init_experience=True, max_env_steps=2)
    spec = read_episode_spec(episode_files(finished.episodes)[0])
    run = RunDir(tmp_path / "second")
    learner = Learner(spec, settings, load_demonstrations(settings, run, spec))
    start_from_another_run(learner, settings, run)
    demonstrated, online = (
        sum(not step.is_reset for episode in read_episodes(path) for step in episode)
        for path in (finished.demonstrations, finished.episodes)
    )
    assert (learner.facts.online, learner.online_steps) == (online, 0)
    assert learner.facts.prior >= demonstrated
    assert not run.demonstrations.exists()


def test_resumed_run_needs_the_weights_that_it_started_from_no_more(finished: RunDir, tmp_path: Path) -> None:
    settings = config(init_from=tmp_path / "lent", max_env_steps=2)
    shutil.copytree(finished.path, tmp_path / "lent")
    train(settings, RunDir(tmp_path / "second"))
    shutil.rmtree(tmp_path / "lent" / "checkpoints")
    train(dataclasses.replace(settings, max_env_steps=4), RunDir(tmp_path / "second"), resume=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"init_from": Path("absent")}, r"--init-from absent: There is no run in absent"),
        ({"algorithm": "sac"}, r"learned with rlpd, this one with sac"),
        ({"env.arm": "xarm7"}, r"of another robot: .* expected"),
    ],
)
def test_start_from_an_unfitting_run_is_refused(
    finished: RunDir, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    settings = with_settings(config(init_from=finished.path), changes)
    with pytest.raises(HilserlError, match=message):
        train(settings, RunDir(tmp_path / "second"))


def test_experience_of_no_run_is_refused() -> None:
    with pytest.raises(HilserlError, match="--init-from RUN"):
        config(init_experience=True)
