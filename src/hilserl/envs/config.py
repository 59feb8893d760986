"""The settings of an environment: task, options and backend."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import tyro

from hilserl.envs.options import EnvOptions
from hilserl.robot.client.config import RobotConfig


@dataclass(frozen=True, kw_only=True)
class BackendConfig:
    """The backend that an environment acts in."""

    backend: Annotated[Literal["sim", "robot"], tyro.conf.arg(name="env", prefix_name=False)] = "sim"
    """Simulation, or an arm behind a robot server in real time."""
    robot: Annotated[RobotConfig, tyro.conf.arg(name="robot", prefix_name=False)] = field(default_factory=RobotConfig)
    """The robot of --env robot."""


@dataclass(frozen=True, kw_only=True)
class EnvConfig(EnvOptions, BackendConfig):
    """All settings of an environment; `make_env` makes it."""

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK", prefix_name=False)]
    """A task's name, or `PACKAGE:ENV_ID` for another package's Gymnasium environment."""
