"""The system learns: demonstrations and a watching operator make a policy that works alone."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.cli.main import main
from hilserl.runs.run_dir import RunDir
from hilserl.tasks import make_sim_env
from hilserl.training.config import TrainConfig, preset
from hilserl.training.run import FINAL_EVAL_SEED
from hilserl.training.trainer import train
from tests.support.configs import changed
from tests.support.robot_rig import running_robot_server

pytestmark = pytest.mark.slow
LEARNED = pytest.mark.xdist_group("learned")
"""Tests that share one finished run, and therefore one process."""


def imitating(
    config: TrainConfig, weight: float, target_entropy: float, half_life: int | None = None, **changes: Any
) -> TrainConfig:
    """Return a configuration that begins at a clone of the demonstrations and imitates them."""
    agent = dataclasses.replace(
        config.agent,
        cloning_weight=weight,
        cloning_half_life=half_life,
        initial_temperature=0.002,
        target_entropy_per_action=target_entropy,
    )
    return changed(config, agent=agent, **changes)


def test_pick_cube_is_learned_from_images_within_1200_steps(tmp_path: Path) -> None:
    """With imitation; without it a run may take more than 2,200 steps to begin to succeed."""
    limits = {"cloning_updates": 5000, "max_env_steps": 1200, "eval_every": 600, "final_eval_episodes": 50}
    result = train(imitating(preset("pick_cube"), 0.1, -2.5, 4000, **limits), RunDir(tmp_path / "run"))
    assert result is not None
    assert result["evaluation"]["successes"] >= 25
    assert result["human_steps"] <= 400


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    """A finished run, from state."""
    run = RunDir(tmp_path_factory.mktemp("learned") / "run")
    config = changed(preset("pick_cube"), obs="state", max_env_steps=3000, eval_every=1000)
    assert train(config, run) is not None
    return run


@LEARNED
def test_pick_cube_is_learned_from_state_within_3000_steps(learned: RunDir) -> None:
    result = json.loads(learned.result.read_text())
    assert result["evaluation"]["successes"] >= 80
    assert result["human_steps"] <= 1000


@LEARNED
def test_policy_from_simulation_works_behind_a_robot_server(learned: RunDir, tmp_path: Path) -> None:
    """Twenty episodes at 10 Hz in real time, the arm in a process of its own."""
    figures = tmp_path / "figures.json"
    with running_robot_server() as port:
        where = ["--env", "robot", "--server", f"http://127.0.0.1:{port}"]
        assert main(["eval", str(learned.path), *where, "--episodes", "20", "--json", str(figures)]) == 0
    assert json.loads(figures.read_text())["successes"] >= 14


def test_imitation_begins_at_the_cloned_policy(tmp_path: Path) -> None:
    limits = {"cloning_updates": 4000, "max_env_steps": 300, "eval_every": 300, "final_eval_episodes": 50}
    config = imitating(preset("pick_cube"), 0.03, -2.0, obs="state", eval_episodes=25, **limits)
    result = train(config, RunDir(tmp_path / "run"))
    assert result is not None
    assert result["evaluation"]["successes"] >= 35
    assert result["human_steps"] <= 150


def test_learning_without_demonstrations_and_interventions_is_slower(tmp_path: Path) -> None:
    config = changed(
        preset("pick_cube"), obs="state", max_env_steps=1500, eval_every=1500, operator="none", demonstrations=0
    )
    result = train(config, RunDir(tmp_path / "run"))
    assert result is not None
    assert result["human_steps"] == 0
    assert result["evaluation"]["successes"] <= 20


def random_successes(episodes: int) -> int:
    """Of a policy that draws every action, on the seeds of final evaluations."""
    info: dict[str, Any] = {}
    env, rng, successes = make_sim_env("pick_cube", obs="state"), np.random.default_rng(0), 0
    for seed in range(FINAL_EVAL_SEED, FINAL_EVAL_SEED + episodes):
        env.reset(seed=seed)
        over = False
        while not over:
            _, _, terminated, truncated, info = env.step(rng.uniform(-1, 1, env.experience.action.size))
            over = terminated or truncated
        successes += bool(info["success"])
    env.close()
    return successes


@pytest.mark.parametrize(("obs", "margin"), [("state", 30), ("pixels", 15)])
def test_cloning_20_demonstrations_beats_a_random_policy(tmp_path: Path, obs: str, margin: int) -> None:
    """By 30 of 50 episodes from state, by 15 from images, after 4,000 updates."""
    settings = {"obs": obs, "cloning_updates": 4000, "eval_episodes": 10, "final_eval_episodes": 50}
    result = train(changed(preset("pick_cube"), algorithm="bc", **settings), RunDir(tmp_path / "run"))
    assert result is not None
    assert result["human_steps"] == 0
    assert result["evaluation"]["successes"] >= random_successes(50) + margin
