"""Train by behaviour cloning of recorded demonstrations."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hilserl.cli import train
from hilserl.cli.parsing import TaskName, parse, require_task
from hilserl.settings import AtLeastOne, Count
from hilserl.training.config import preset


@dataclass(frozen=True)
class BcArguments:
    """Train by behaviour cloning of demonstrations.

    The same as `hilserl train TASK --algorithm bc`, with the few settings that matter to it.
    """

    task: TaskName
    demos: tuple[Path, ...] = ()
    """Directories of recorded episodes to clone."""
    demonstrations: AtLeastOne = 20
    """Demonstrations that the simulated operator records first, if --demos names none."""
    obs: Literal["state", "pixels"] = "pixels"
    """Observation beside proprioception: camera images, or the true state of the objects."""
    updates: AtLeastOne = 10_000
    """Critic updates."""
    final_eval_episodes: AtLeastOne = 100
    """Episodes of the final evaluation of the best checkpoint."""
    seed: Count = 0
    """Seed of everything random."""
    run_dir: Path | None = None
    """Run directory; by default runs/TASK-OBS-seedN-bc."""


def run(words: Sequence[str]) -> int:
    """Train a policy by behaviour cloning."""
    arguments = parse("bc", BcArguments, require_task("bc", words))
    usual = preset(arguments.task)
    config = dataclasses.replace(
        usual,
        env=dataclasses.replace(usual.env, obs=arguments.obs),
        algorithm="bc",
        demos=arguments.demos,
        demonstrations=arguments.demonstrations,
        cloning_updates=arguments.updates,
        final_eval_episodes=arguments.final_eval_episodes,
        seed=arguments.seed,
    )
    return train.carry_out(train.TrainArguments(config, run_dir=arguments.run_dir))
