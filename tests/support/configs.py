"""Configurations of runs, changed in short."""

import dataclasses
from typing import Any

from hilserl.envs.config import EnvConfig
from hilserl.training.config import TrainConfig

_OF_ENV = {each.name for each in dataclasses.fields(EnvConfig)} - {"reward"}


def changed(config: TrainConfig, **changes: Any) -> TrainConfig:
    """Return a configuration with other settings; those of the environment are named without `env.`."""
    env = {name: changes.pop(name) for name in _OF_ENV & changes.keys()}
    return dataclasses.replace(config, env=dataclasses.replace(config.env, **env), **changes)


def train_config(task: str, **changes: Any) -> TrainConfig:
    """Return the settings of a run from pixels, changed as by `changed`; a preset of the task is not read."""
    env = {"obs": "pixels", "cameras": ("front", "wrist"), "frame": "world"}
    env |= {name: changes.pop(name) for name in _OF_ENV & changes.keys()}
    return TrainConfig(EnvConfig(task=task, **env), **changes)
