"""hilserl compare TASK: the method beside its baselines, as one table and one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.arguments import check_directory, parse_for_task
from hilserl.cli.sweep import bring_about
from hilserl.training.config import TrainConfig, preset


@dataclass(frozen=True)
class CompareArguments:
    """Train the method and its baselines, then compare them.

    The baselines are behaviour cloning on few and on many demonstrations, HG-DAgger, soft actor-critic without prior
    data, and RLPD without interventions. All runs have the same limits.
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    seeds: str = "0..2"
    """FIRST..LAST, or SEED,SEED,..."""
    out: Path | None = None
    """Where the runs, the table and the plot are kept; by default runs/TASK-OBS-comparison."""
    ray: str | None = None
    """The cluster's address, or `auto`; by default one is started on this machine."""
    resume: bool = False
    """Go on with the comparison that is in the directory: runs with a result are left as they are."""


def run(words: Sequence[str]) -> int:
    arguments = parse_for_task("compare", words, CompareArguments)
    task = arguments.config.task
    folder = arguments.out or Path("runs") / f"{task}-{arguments.config.env.obs}-comparison"
    check_directory(folder, resume=arguments.resume)
    from hilserl.distributed.sweep import members, parse_seeds
    from hilserl.training.baselines import baseline_configs

    runs = members(folder, baseline_configs(arguments.config, preset(task)), parse_seeds(arguments.seeds))
    return bring_about(runs, folder, f"{task} from {arguments.config.env.obs}", arguments.ray, 0)
