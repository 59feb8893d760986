"""Opening a finished (or unfinished) run to use its policy."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilserl.sim.environment import ManipulationEnv
from hilserl.training.algorithms import ALGORITHMS
from hilserl.training.checkpoint import choose, load_checkpoint
from hilserl.training.config import TrainConfig, load_config, make_env
from hilserl.training.evaluation import Player
from hilserl.training.rundir import RunDir


@dataclass(frozen=True)
class Trained:
    """A run's policy and an environment of its task."""

    config: TrainConfig
    checkpoint: Path
    player: Player
    env: ManipulationEnv


def open_trained(run: RunDir, checkpoint: str = "best", **changes: Any) -> Trained:
    """The policy of a checkpoint (`best`, `last` or a step) and its environment, but for the options that are named.

    Raises HilserlError saying what exists.
    """
    run.require()
    config = load_config(run.config)
    path = choose(run.checkpoints, checkpoint)
    env = make_env(config, **changes)
    agent, _ = load_checkpoint(path, ALGORITHMS[config.algorithm].create(env.experience, config.agent, config.seed))
    return Trained(config, path, Player.of(agent), env)
