"""Presets begin to train, from the task's own cameras, frame and discount."""

import dataclasses
import json
from pathlib import Path

import pytest

from hilserl import tasks
from hilserl.errors import HilserlError
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import preset, with_settings
from hilserl.training.config_file import load_config
from hilserl.training.trainer import train
from tests.support.configs import changed
from tests.support.runs import WRITE_VIDEO


@pytest.mark.parametrize("name", tasks.names())
def test_presets_begin_to_train(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
    monkeypatch.setattr(tasks.find(name), "max_episode_steps", 60)
    chosen, task = preset(name), tasks.find(name)
    assert (chosen.env.cameras, chosen.env.frame) == (task.cameras, task.frame)
    assert chosen.agent.discount == task.preset.settings["agent.discount"]
    vision = dataclasses.replace(chosen.agent.vision, width=8)
    tiny = dataclasses.replace(chosen.agent, hidden=(16,), num_critics=2, utd_ratio=2, batch_size=8, vision=vision)
    config = changed(
        chosen,
        image_size=32,
        demonstrations=1,
        cloning_updates=4,
        max_env_steps=2,
        training_starts=1,
        eval_episodes=1,
        final_eval_episodes=1,
        agent=tiny,
    )
    run = RunDir(tmp_path / "run")
    result = train(config, run)
    assert result is not None
    assert (result["task"], result["env_steps"]) == (name, 2)
    assert result["updates"] > (4 if chosen.agent.cloning_weight else 0)
    assert load_config(run.config) == config
    assert json.loads(run.result.read_text())["evaluation"]["episodes"] == 1


def test_preset_with_an_unknown_setting_is_refused() -> None:
    with pytest.raises(HilserlError, match=r"Unknown setting of AgentConfig 'gamma'.*discount"):
        with_settings(preset("pick_cube"), {"agent.gamma": 0.9})
    with pytest.raises(HilserlError, match=r"Unknown setting of TrainConfig 'seed\.x'"):
        with_settings(preset("pick_cube"), {"seed.x": 1})


def test_nested_settings_change_by_with_settings() -> None:
    config = with_settings(preset("pick_cube"), {"seed": 3, "agent.tau": 0.1, "agent.vision.width": 8})
    assert (config.seed, config.agent.tau, config.agent.vision.width) == (3, 0.1, 8)
