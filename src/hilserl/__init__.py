"""Human-in-the-loop reinforcement learning for robot manipulation, in simulation first.

A policy for one of the tasks, from nothing:

    from pathlib import Path
    import hilserl

    config = hilserl.preset("pick_cube")
    result = hilserl.train(config, hilserl.RunDir(Path("runs/cube")))
    loaded = hilserl.load_policy(hilserl.RunDir(Path("runs/cube")))
    observation, _ = loaded.env.reset(seed=0)
    action = loaded.act(observation)

Names are imported when they are first used, so that `import hilserl` takes milliseconds.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from hilserl import opengl

if TYPE_CHECKING:
    from hilserl.data.spec import ExperienceSpec, entry
    from hilserl.data.step import Step
    from hilserl.envs.config import EnvConfig
    from hilserl.envs.make import make_env
    from hilserl.errors import HilserlError
    from hilserl.operators.operator import Operator
    from hilserl.operators.takeover import Intent as OperatorIntent
    from hilserl.policies.loading import load_policy
    from hilserl.runs.run_dir import RunDir, read_episodes
    from hilserl.sim.task import Task, TaskPreset
    from hilserl.training.config import TrainConfig, preset
    from hilserl.training.trainer import train

__version__ = version("hilserl")

__all__ = [
    "EnvConfig",
    "ExperienceSpec",
    "HilserlError",
    "Operator",
    "OperatorIntent",
    "RunDir",
    "Step",
    "Task",
    "TaskPreset",
    "TrainConfig",
    "entry",
    "load_policy",
    "make_env",
    "preset",
    "read_episodes",
    "train",
]

_SOURCES = {
    "EnvConfig": "envs.config:EnvConfig",
    "ExperienceSpec": "data.spec:ExperienceSpec",
    "HilserlError": "errors:HilserlError",
    "Operator": "operators.operator:Operator",
    "OperatorIntent": "operators.takeover:Intent",
    "RunDir": "runs.run_dir:RunDir",
    "Step": "data.step:Step",
    "Task": "sim.task:Task",
    "TaskPreset": "sim.task:TaskPreset",
    "TrainConfig": "training.config:TrainConfig",
    "entry": "data.spec:entry",
    "load_policy": "policies.loading:load_policy",
    "make_env": "envs.make:make_env",
    "preset": "training.config:preset",
    "read_episodes": "runs.run_dir:read_episodes",
    "train": "training.trainer:train",
}
"""The module and the name there of each public name."""

opengl.choose()


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used (PEP 562)."""
    if name not in _SOURCES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, original = _SOURCES[name].partition(":")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{module}"), original)
    return value


def __dir__() -> list[str]:
    """List the public names beside those that are loaded."""
    return sorted({*globals(), *__all__})
