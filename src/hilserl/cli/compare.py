"""Train the method and its baselines, then compare them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.arguments import output_directory, parse_for_task
from hilserl.cli.sweep import run_members
from hilserl.training.config import TrainConfig, preset


@dataclass(frozen=True)
class CompareArguments:
    """Train the method and its baselines, then compare them.

    The baselines are behaviour cloning on few and on many demonstrations, HG-DAgger, soft actor-critic without prior
    data, and RLPD without interventions. All runs have the same limits.
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    seeds: str = "0..2"
    """Seeds: FIRST..LAST, or SEED,SEED,..."""
    out: Path | None = None
    """Directory of runs, table and plot; by default runs/TASK-OBS-comparison."""
    ray: str | None = None
    """Address of the Ray cluster, or auto. By default a cluster of this machine is started."""
    resume: bool = False
    """Resume the comparison in the directory. Runs with a result stay as they are."""


def run(words: Sequence[str]) -> int:
    """Train all runs of the comparison."""
    arguments = parse_for_task("compare", words, CompareArguments)
    task = arguments.config.task
    directory = arguments.out or Path("runs") / f"{task}-{arguments.config.env.obs}-comparison"
    from hilserl.distributed.sweep import members, parse_seeds
    from hilserl.training.baselines import baseline_configs

    runs = members(directory, baseline_configs(arguments.config, preset(task)), parse_seeds(arguments.seeds))
    with output_directory(directory, resume=arguments.resume):
        return run_members(runs, directory, f"{task} from {arguments.config.env.obs}", arguments.ray, 0)
