"""Methods differ in how they learn, and in nothing else."""

import dataclasses
from pathlib import Path

import pytest

from hilserl import tasks
from hilserl.comparison.methods import METHODS, PUBLISHED, find_method
from hilserl.errors import HilserlError
from hilserl.training.config import TrainConfig, preset, with_settings

LEARNING = {"algorithm", "operator", "training_starts", "update_steps_per_env_step", "agent"}
"""Settings that a method may change."""


def settings_of(method: str, task: str = "handover") -> TrainConfig:
    return with_settings(preset(task), METHODS[method].settings)


def changed_settings(one: TrainConfig, other: TrainConfig) -> set[str]:
    """Return the names of settings that differ."""
    return {
        each.name for each in dataclasses.fields(TrainConfig) if getattr(one, each.name) != getattr(other, each.name)
    }


@pytest.mark.parametrize("task", tasks.names())
@pytest.mark.parametrize("method", METHODS)
def test_methods_change_only_how_a_task_is_learned(method: str, task: str) -> None:
    assert changed_settings(settings_of(method, task), preset(task)) <= LEARNING
    assert settings_of(method, task).agent.vision.encoder == preset(task).agent.vision.encoder


def test_hil_serl_as_published_has_its_constants_whatever_the_task_s_preset_is() -> None:
    published = settings_of("hil-serl")
    assert published.agent == settings_of("hil-serl", "pick_cube").agent
    agent = published.agent
    assert (agent.num_critics, agent.num_target_critics, agent.utd_ratio) == (2, 2, 2)
    assert (agent.discount, agent.batch_size, agent.hidden) == (0.97, 256, (256, 256))
    switched_off = (agent.cloning_weight, agent.return_floor, agent.vision.goal_prediction)
    assert not any(switched_off)
    assert published.algorithm == "rlpd"
    assert published.operator == "scripted"


def test_rlpd_and_rlif_differ_from_hil_serl_in_one_setting() -> None:
    published = settings_of("hil-serl")
    assert changed_settings(settings_of("rlpd"), published) == {"operator"}
    assert changed_settings(settings_of("rlif"), published) == {"algorithm"}


def test_class_of_a_file_is_a_method_with_its_settings(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    file.write_text(
        "from hilserl.training.algorithms import ActorCriticAlgorithm\n\n\nclass Own(ActorCriticAlgorithm):\n"
        '    """One of my own."""\n\n    benchmark_settings = {"agent.discount": 0.9}\n'
    )
    method = find_method(f"{file}:Own")
    assert (method.name, method.summary) == ("Own", "One of my own")
    assert method.settings == {"algorithm": f"{file}:Own", "agent.discount": 0.9}


def test_unknown_method_names_the_nearest() -> None:
    with pytest.raises(HilserlError, match=r"Unknown method 'hil-sarl'\. Did you mean 'hil-serl'"):
        find_method("hil-sarl")
    assert all(with_settings(preset("pick_cube"), {name: value}) for name, value in PUBLISHED.items())
