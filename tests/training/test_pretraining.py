"""A run that pretrains on demonstrations resumes exactly."""

import dataclasses
import json
from pathlib import Path

import pytest

from hilserl.rollout.recording import EpisodeRecorder, record_demonstrations
from hilserl.runs.run_dir import RunDir
from hilserl.tasks import make_sim_env, pick_cube
from hilserl.training.trainer import train
from tests.support.runs import WRITE_VIDEO, config, same_weights, weights


def test_resumed_run_equals_a_whole_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
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
