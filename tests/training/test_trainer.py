"""Runs that stop, break and resume."""

import dataclasses
import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hilserl.data.episodes import read_episode
from hilserl.errors import HilserlError
from hilserl.operators.profiles import find_profile
from hilserl.runs.checkpoint import choose, steps_in
from hilserl.runs.run_dir import RunDir
from hilserl.tasks import pick_cube
from hilserl.training import learner as learner_module
from hilserl.training.config_file import load_config
from hilserl.training.divergence import DivergenceError
from hilserl.training.lifecycle import open_run
from hilserl.training.local_learner import ThreadedLearner
from hilserl.training.trainer import Trainer, train
from hilserl.vision.frame_encoder import VisionConfig
from tests.support.runs import SMALL_AGENT, WRITE_VIDEO, config, same_weights, weights


@pytest.fixture
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)


@pytest.fixture(autouse=True)
def no_video(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the video, which takes longer than all the rest; one test writes it."""
    if "films" not in request.keywords:
        monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)


@pytest.mark.usefixtures("short_episodes")
def test_resumed_run_equals_a_whole_one(tmp_path: Path) -> None:
    settings = config(demonstrations=0)
    whole, halves = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    train(settings, whole)
    train(dataclasses.replace(settings, max_env_steps=2), halves)
    assert steps_in(halves.checkpoints) == [2]
    train(settings, halves, resume=True)
    assert same_weights(weights(whole, 4), weights(halves, 4))
    assert not same_weights(weights(halves, 2), weights(halves, 4))
    state = json.loads((halves.checkpoints / "4" / "state.json").read_text())
    assert (state["env_steps"], state["episodes"], state["update_steps"]) == (4, 2, 4)
    for name in ("000000.parquet", "000001.parquet"):
        first, second = read_episode(whole.episodes / name)[0], read_episode(halves.episodes / name)[0]
        assert all(np.array_equal(a.action, b.action) for a, b in zip(first, second, strict=True))


@pytest.mark.usefixtures("short_episodes")
@pytest.mark.parametrize("vision", [VisionConfig(), VisionConfig("small_cnn")], ids=lambda v: v.encoder)
def test_resumed_run_from_pixels_equals_a_whole_one(tmp_path: Path, vision: VisionConfig) -> None:
    """On resume the frames are read from disk and encoded again: the features must be the very same."""
    agent = dataclasses.replace(SMALL_AGENT, vision=vision)
    settings = config(demonstrations=0, obs="pixels", image_size=32, crop={"front": (0.0, 0.1, 0.9, 0.9)}, agent=agent)
    whole, halves = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    train(settings, whole)
    train(dataclasses.replace(settings, max_env_steps=2), halves)
    train(settings, halves, resume=True)
    assert same_weights(weights(whole, 4), weights(halves, 4))
    steps, spec = read_episode(whole.episodes / "000001.parquet")
    assert [name for name, _ in spec.images] == ["front", "wrist"]
    assert steps[-1].observation["wrist"].std() > 1, "the raw frames are on disk"


def test_seed_decides_the_run(tmp_path: Path) -> None:
    runs = [RunDir(tmp_path / name) for name in ("a", "b", "c")]
    for run, seed in zip(runs, (0, 0, 1), strict=True):
        train(config(seed=seed, max_env_steps=12), run)
    a, b, c = (weights(run, 12) for run in runs)
    assert same_weights(a, b)
    assert not same_weights(a, c)


START = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.support.runs import WRITE_VIDEO, config
from hilserl.runs.run_dir import RunDir
from hilserl.training.trainer import Trainer, train
from tests.support.configs import changed
from hilserl.vision.frame_encoder import VisionConfig
train(config(max_env_steps=100_000, eval_every=60, demonstrations=1), RunDir(Path({run!r})))
"""


def start_run(run: RunDir) -> subprocess.Popen:
    program = START.format(root=str(Path(__file__).parents[2]), run=str(run.path))
    return subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)


def wait_for_checkpoint(run: RunDir, process: subprocess.Popen, episodes: int) -> None:
    deadline = time.monotonic() + 120
    while not (steps_in(run.checkpoints) and len(list(run.episodes.glob("*.parquet"))) >= episodes):
        assert process.poll() is None, "the run ended by itself"
        assert time.monotonic() < deadline, "no checkpoint in time"
        time.sleep(0.05)


def test_kill_loses_no_finished_episode(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    process = start_run(run)
    wait_for_checkpoint(run, process, episodes=4)
    process.kill()
    process.wait()
    finished = sorted(run.episodes.glob("*.parquet"))
    kept = {path.name: path.read_bytes() for path in finished}
    steps_kept = sum(len(read_episode(path)[0]) - 1 for path in finished)
    settings = dataclasses.replace(load_config(run.config), max_env_steps=steps_kept + 5)
    result = train(settings, run, resume=True)
    assert result is not None
    assert result["env_steps"] == steps_kept + 5
    assert result["updates"] == (steps_kept + 5) * SMALL_AGENT.utd_ratio, "the learner has caught up"
    assert all((run.episodes / name).read_bytes() == data for name, data in kept.items())
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    assert lines, "and the metrics file is whole"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_cleanly_and_the_run_resumes(tmp_path: Path, number: signal.Signals) -> None:
    run = RunDir(tmp_path / "run")
    process = start_run(run)
    wait_for_checkpoint(run, process, episodes=2)
    process.send_signal(number)
    assert process.wait(timeout=60) == 0
    state = json.loads((choose(run.checkpoints, "last") / "state.json").read_text())
    steps_kept = sum(len(read_episode(path)[0]) - 1 for path in run.episodes.glob("*.parquet"))
    assert state["env_steps"] == steps_kept, "the step in progress is kept too"
    assert not run.result.exists()
    settings = dataclasses.replace(load_config(run.config), max_env_steps=steps_kept + 3)
    assert train(settings, run, resume=True) is not None


@pytest.fixture
def finished(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    train(config(max_env_steps=6), run)
    return run


def test_divergence_names_the_step_and_the_last_good_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = learner_module.update_step, []

    def breaks_later(agent, batches, key):
        calls.append(1)
        agent, metrics = real(agent, batches, key)
        return agent, metrics if len(calls) < 9 else {**metrics, "critic_loss": np.nan}

    run = RunDir(tmp_path / "run")
    train(config(max_env_steps=6), run)
    calls.extend([1] * 6)
    monkeypatch.setattr(learner_module, "update_step", breaks_later)
    with pytest.raises(DivergenceError, match=r"update step 8.*critic_loss.*checkpoints/6"):
        train(config(max_env_steps=20), run, resume=True)
    assert steps_in(run.checkpoints) == [6]


def test_failed_actor_stops_the_learner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise OSError("the arm is gone")

    monkeypatch.setattr("hilserl.training.actor.act", broken)
    run_dir, settings = RunDir(tmp_path / "run"), config(demonstrations=0)
    with (
        open_run(settings, run_dir, resume=False),
        Trainer(settings, run_dir, connect=ThreadedLearner) as trainer,
        pytest.raises(OSError, match="the arm is gone"),
    ):
        trainer.run()
    assert not [thread for thread in threading.enumerate() if thread.name == "learner"]


def test_moved_run_directory_resumes(finished: RunDir, tmp_path: Path) -> None:
    moved = RunDir(tmp_path / "elsewhere")
    shutil.move(finished.path, moved.path)
    assert train(config(max_env_steps=8), moved, resume=True) is not None


def test_operator_follows_advice_only_where_there_are_critics(tmp_path: Path) -> None:
    settings = config(simulated_operator=find_profile("advised"))
    train(settings, RunDir(tmp_path / "advised"))
    with pytest.raises(HilserlError, match="advice, and none are in reach: it needs --algorithm rlpd"):
        train(dataclasses.replace(settings, algorithm="hg-dagger"), RunDir(tmp_path / "clone"))
