"""Opening a finished (or unfinished) run to use its policy."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hilserl.envs.config import Where
from hilserl.envs.env import InteractiveEnv
from hilserl.rollout.evaluation import Player
from hilserl.runs.checkpoint import choose, load_checkpoint
from hilserl.runs.run_dir import RunDir
from hilserl.training.algorithms import ALGORITHMS
from hilserl.training.config import TrainConfig, make_acting_env
from hilserl.training.config_file import load_config


@dataclass(frozen=True)
class LoadedPolicy:
    """A run's policy and an environment of its task."""

    config: TrainConfig
    checkpoint: Path
    player: Player
    env: InteractiveEnv


def load_policy(run: RunDir, checkpoint: str = "best", where: Where | None = None, **changes: Any) -> LoadedPolicy:
    """The policy of a checkpoint (`best`, `last` or a step) and its environment, but for the options that are named.

    `where` is the simulation unless told otherwise, wherever the run acted. Raises HilserlError saying what exists.
    """
    run.require()
    config, where = load_config(run.config), where or Where()
    path = choose(run.checkpoints, checkpoint)
    if where.env == "robot":
        # What was learned in scenes drawn anew is to do in the one that is there.
        changes = {"randomise": False, **changes}
    env = make_acting_env(replace(config, where=where), **changes)
    agent, _ = load_checkpoint(path, ALGORITHMS[config.algorithm].create(env.experience, config.agent, config.seed))
    return LoadedPolicy(config, path, Player.of(agent), env)
