"""Runs begin, stop, break and go on; nothing that was finished is ever lost."""

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hilserl.data.episodes import read_episode, write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.runs.checkpoint import choose, load_checkpoint, steps_in
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.tasks import pick_cube
from hilserl.training import learner as learner_module
from hilserl.training.config import preset
from hilserl.training.config_file import load_config
from hilserl.training.learner import DivergenceError, Learner
from hilserl.training.lifecycle import open_run
from hilserl.training.local_learner import ThreadedLearner
from hilserl.training.trainer import Trainer, train
from hilserl.vision.frame_encoder import VisionConfig
from tests.support.runs import SMALL_AGENT, WRITE_VIDEO, config, same_weights, weights
from tests.support.steps import make_episode


@pytest.fixture
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)


@pytest.fixture(autouse=True)
def no_film(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filming an untrained policy takes longer than all the rest; one test does it."""
    if "films" not in request.keywords:
        monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)


@pytest.mark.usefixtures("short_episodes")
def test_two_steps_and_a_resume_are_four_steps(tmp_path: Path) -> None:
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
def test_from_pixels_too_two_steps_and_a_resume_are_four_steps(tmp_path: Path, vision: VisionConfig) -> None:
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


def test_one_seed_one_run(tmp_path: Path) -> None:
    runs = [RunDir(tmp_path / name) for name in ("a", "b", "c")]
    for run, seed in zip(runs, (0, 0, 1), strict=True):
        train(config(seed=seed, max_env_steps=12), run)
    a, b, c = (weights(run, 12) for run in runs)
    assert same_weights(a, b)
    assert not same_weights(a, c)


@pytest.mark.films
def test_a_run_leaves_everything_it_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunDir(tmp_path / "run")
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 8)
    settings = config(demonstrations=0, max_env_steps=30, eval_every=10)
    result = train(settings, run)
    assert result is not None
    assert json.loads(run.result.read_text()) == result
    assert {
        "task",
        "obs",
        "seed",
        "env_steps",
        "updates",
        "wall_seconds",
        "human_steps",
        "interventions",
        "evaluation",
    } <= result.keys()
    assert {
        "successes",
        "episodes",
        "success_rate",
        "wilson_95",
        "mean_episode_steps",
        "mean_episode_seconds",
    } <= result["evaluation"].keys()
    assert result["env_steps"] == 30
    assert result["updates"] == 30 * SMALL_AGENT.utd_ratio
    assert run.curve.stat().st_size > 10_000
    assert run.video.stat().st_size > 10_000
    assert load_config(run.config) == settings
    kinds = {json.loads(line)["kind"] for line in run.metrics.read_text().splitlines()}
    assert {"episode", "learner"} <= kinds
    assert list((run.path / "tensorboard").glob("events*"))
    spec = read_episode(next(run.episodes.iterdir()))[1]
    steps = [s for episode in read_episodes(run.episodes, spec) for s in episode if not s.is_reset]
    assert len(steps) == 30
    assert sum(s.intervened for s in steps) == result["human_steps"]


def test_an_existing_run_is_never_overwritten(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    (run.path / "precious").write_text("data")
    with pytest.raises(HilserlError, match="--resume"):
        train(config(), run)
    assert (run.path / "precious").read_text() == "data"
    assert len(list(run.path.iterdir())) == 1


def test_resuming_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match="no run"):
        train(config(), RunDir(tmp_path / "absent"), resume=True)


@pytest.mark.usefixtures("short_episodes")
def test_a_resumed_run_keeps_its_settings(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    train(config(demonstrations=0, max_env_steps=2), run)
    with pytest.raises(HilserlError, match="seed was 0, not 5"):
        train(config(demonstrations=0, seed=5), run, resume=True)


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


def test_kill_9_loses_no_finished_episode(tmp_path: Path) -> None:
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
def test_ctrl_c_ends_cleanly_and_the_run_goes_on(tmp_path: Path, number: signal.Signals) -> None:
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


@pytest.mark.parametrize("damage", ["cut", "flip", "no file", "state", "state is a list"])
def test_a_damaged_checkpoint_is_named(finished: RunDir, damage: str) -> None:
    folder = choose(finished.checkpoints, "last")
    agent_file, state_file = folder / "agent.safetensors", folder / "state.json"
    data = agent_file.read_bytes()
    if damage == "cut":
        agent_file.write_bytes(data[:-10])
    elif damage == "flip":
        agent_file.write_bytes(data[:-10] + bytes([data[-10] ^ 1]) + data[-9:])
    elif damage == "no file":
        agent_file.unlink()
    else:
        state_file.write_text("{" if damage == "state" else "[]")
    with pytest.raises(HilserlError, match="Cannot read the checkpoint"):
        train(config(max_env_steps=8), finished, resume=True)
    assert len(list(finished.episodes.iterdir())) == 1, "nothing else is touched"


def test_another_agents_checkpoint_is_refused(finished: RunDir, shared_env) -> None:
    other = dataclasses.replace(config(), agent=dataclasses.replace(SMALL_AGENT, hidden=(8, 8)))
    with pytest.raises(HilserlError, match="another agent"):
        load_checkpoint(choose(finished.checkpoints, "last"), Learner(shared_env.experience, other, []).snapshot[0])


def test_unknown_checkpoints_list_what_exists(finished: RunDir) -> None:
    with pytest.raises(HilserlError, match="available: best, last, 6"):
        choose(finished.checkpoints, "7")
    assert choose(finished.checkpoints, "6").name == "6"
    with pytest.raises(HilserlError, match="no checkpoint"):
        choose(finished.path / "nowhere", "best")


def test_a_damaged_episode_stops_a_resume_with_its_name(finished: RunDir) -> None:
    path = next(finished.episodes.iterdir())
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(HilserlError, match=re.escape(path.name)):
        train(config(max_env_steps=8), finished, resume=True)


def test_demonstrations_of_another_task_are_refused(tmp_path: Path, spec: ExperienceSpec) -> None:
    write_episode(tmp_path / "demos" / "000000.parquet", make_episode(0, 3), spec)
    with pytest.raises(HilserlError, match=r"'toy'.*'pick_cube'"):
        train(config(demos=(tmp_path / "demos",)), RunDir(tmp_path / "run"))
    with pytest.raises(HilserlError, match="no directory"):
        train(config(demos=(tmp_path / "absent",)), RunDir(tmp_path / "other"))


def test_given_demonstrations_are_used_instead_of_new_ones(finished: RunDir, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "second")
    train(config(demos=(finished.demonstrations,), max_env_steps=2), run)
    assert not run.demonstrations.exists()


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


@pytest.mark.usefixtures("short_episodes")
def test_a_full_disk_stops_the_run_with_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(HilserlError, match="No space left"):
        train(config(demonstrations=0), RunDir(tmp_path / "run"))


def test_an_actor_that_fails_takes_the_learner_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_two_processes_never_use_one_run(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    train(config(demonstrations=0), run)
    more = config(demonstrations=0, max_env_steps=6)
    with run.locked(), pytest.raises(HilserlError, match="Another process is using"):
        train(more, run, resume=True)
    assert load_config(run.config).max_env_steps == 4, "and nothing was changed"
    assert train(more, run, resume=True) is not None


def test_metrics_that_are_gone_or_damaged_are_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    train(config(demonstrations=0), run)
    for damage in (lambda: run.metrics.write_text("[\n" + run.metrics.read_text()), run.metrics.unlink):
        damage()
        with pytest.raises(HilserlError, match=r"metrics\.jsonl"):
            train(config(demonstrations=0, max_env_steps=6), run, resume=True)


def test_old_checkpoints_go_and_the_best_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)
    run = RunDir(tmp_path / "run")
    train(config(demonstrations=0, max_env_steps=12, eval_every=2, keep_checkpoints=2, solved_evaluations=0), run)
    assert steps_in(run.checkpoints) == [10, 12], "no success anywhere: the newest of equals is the best"


def test_every_preset_is_valid() -> None:
    from hilserl import tasks

    for name in tasks.names():
        assert preset(name).task == name


def test_a_run_directory_can_be_moved(finished: RunDir, tmp_path: Path) -> None:
    moved = RunDir(tmp_path / "elsewhere")
    shutil.move(finished.path, moved.path)
    assert train(config(max_env_steps=8), moved, resume=True) is not None
