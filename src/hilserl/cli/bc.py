"""hilserl bc TASK: behaviour cloning, from recorded demonstrations to a policy that is judged as every other."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hilserl.cli import train
from hilserl.cli.parsing import TaskName, parse, require_task
from hilserl.training.config import preset


@dataclass(frozen=True)
class BcArguments:
    """Train by behaviour cloning of demonstrations.

    The same as `hilserl train TASK --algorithm bc`, with the few settings that matter to it.
    """

    task: TaskName
    demos: tuple[Path, ...] = ()
    """Directories of recorded episodes to clone."""
    demonstrations: int = 20
    """Where `demos` names none: how many successful episodes the simulated operator records first."""
    obs: Literal["state", "pixels"] = "pixels"
    """What the policy sees beside proprioception: camera images, or the objects' true state."""
    updates: int = 10_000
    seed: int = 0
    run_dir: Path | None = None
    """Where the run is kept; by default runs/TASK-OBS-seedN-bc."""


def run(words: Sequence[str]) -> int:
    arguments = parse("bc", BcArguments, require_task("bc", words))
    usual = preset(arguments.task)
    config = dataclasses.replace(
        usual,
        env=dataclasses.replace(usual.env, obs=arguments.obs),
        algorithm="bc",
        demos=arguments.demos,
        demonstrations=arguments.demonstrations,
        cloning_updates=arguments.updates,
        seed=arguments.seed,
    )
    return train.carry_out(train.TrainArguments(config, run_dir=arguments.run_dir))
