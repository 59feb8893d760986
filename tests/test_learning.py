"""The system learns: demonstrations and a watching operator make a policy that works alone."""

import dataclasses
from pathlib import Path

import pytest

from hilserl.training.config import preset
from hilserl.training.rundir import RunDir
from hilserl.training.train import train

pytestmark = pytest.mark.slow


def test_pick_cube_is_learned_from_state_within_3000_steps(tmp_path: Path) -> None:
    config = dataclasses.replace(preset("pick_cube"), obs="state", max_env_steps=3000, eval_every=1000)
    result = train(config, RunDir(tmp_path / "run"))
    assert result is not None
    assert result["evaluation"]["successes"] >= 80
    assert result["human_steps"] <= 1000


def test_pick_cube_is_learned_from_images_within_2700_steps(tmp_path: Path) -> None:
    config = dataclasses.replace(preset("pick_cube"), max_env_steps=2700, eval_every=1200, final_eval_episodes=50)
    result = train(config, RunDir(tmp_path / "run"))
    assert result is not None
    assert result["evaluation"]["successes"] >= 25
    assert result["human_steps"] <= 1000


def test_without_demonstrations_and_interventions_nothing_is_learned_as_fast(tmp_path: Path) -> None:
    config = dataclasses.replace(
        preset("pick_cube"), obs="state", max_env_steps=1500, eval_every=1500, operator="none", demonstrations=0
    )
    result = train(config, RunDir(tmp_path / "run"))
    assert result is not None
    assert result["human_steps"] == 0
    assert result["evaluation"]["successes"] <= 20
