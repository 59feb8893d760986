"""Books of a run: files, metrics and checkpoints."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from hilserl.data.episodes import read_episode
from hilserl.errors import HilserlError
from hilserl.runs.checkpoint import choose, load_checkpoint, read_state, steps_in
from hilserl.runs.metrics import read_metrics
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.tasks import pick_cube
from hilserl.training.config_file import load_config
from hilserl.training.learner import Learner
from hilserl.training.trainer import train
from tests.support.runs import SMALL_AGENT, WRITE_VIDEO, config


@pytest.fixture
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)


@pytest.fixture(autouse=True)
def no_video(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the video, which takes longer than all the rest; one test writes it."""
    if "films" not in request.keywords:
        monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)


@pytest.fixture
def finished(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    train(config(max_env_steps=6), run)
    return run


@pytest.mark.films
def test_run_leaves_everything_it_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert (result["env_steps"], result["robot_minutes"], result["attended_minutes"]) == (30, 0.05, 0.05)
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


@pytest.mark.parametrize("damage", ["cut", "flip", "no file", "state", "state is a list"])
def test_damaged_checkpoint_is_named(finished: RunDir, damage: str) -> None:
    checkpoint = choose(finished.checkpoints, "last")
    agent_file, state_file = checkpoint / "agent.safetensors", checkpoint / "state.json"
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


def test_checkpoint_of_another_agent_is_refused(finished: RunDir, shared_env) -> None:
    other = dataclasses.replace(config(), agent=dataclasses.replace(SMALL_AGENT, hidden=(8, 8)))
    with pytest.raises(HilserlError, match="another agent"):
        load_checkpoint(choose(finished.checkpoints, "last"), Learner(shared_env.experience, other, []).snapshot[0])


def test_damaged_episode_stops_a_resume_with_its_name(finished: RunDir) -> None:
    path = next(finished.episodes.iterdir())
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(HilserlError, match=re.escape(path.name)):
        train(config(max_env_steps=8), finished, resume=True)


@pytest.mark.usefixtures("short_episodes")
def test_full_disk_stops_the_run_with_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.write_table", full)
    with pytest.raises(HilserlError, match="No space left"):
        train(config(demonstrations=0), RunDir(tmp_path / "run"))


def test_damaged_metrics_are_named(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    train(config(demonstrations=0), run)
    for damage in (lambda: run.metrics.write_text("[\n" + run.metrics.read_text()), run.metrics.unlink):
        damage()
        with pytest.raises(HilserlError, match=r"metrics\.jsonl"):
            train(config(demonstrations=0, max_env_steps=6), run, resume=True)


def test_run_that_ends_between_evaluations_evaluates_its_last_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)
    run = RunDir(tmp_path / "run")
    train(config(demonstrations=0, max_env_steps=6, eval_every=4), run)
    assert steps_in(run.checkpoints) == [4, 6]
    assert read_state(choose(run.checkpoints, "last")).evaluation is not None
    assert [record["env_steps"] for record in read_metrics(run.metrics, "evaluation")] == [4, 6]


def test_checkpoints_are_pruned_except_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)
    run = RunDir(tmp_path / "run")
    train(config(demonstrations=0, max_env_steps=12, eval_every=2, keep_checkpoints=2, solved_evaluations=0), run)
    assert steps_in(run.checkpoints) == [10, 12], "no success anywhere: the newest of equals is the best"
