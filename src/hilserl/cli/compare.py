"""hilserl compare TASK: the method beside its baselines, as one table and one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.arguments import check_folder, parse_verb, split_task
from hilserl.cli.sweep import bring_about
from hilserl.training.config import TrainConfig, preset


@dataclass(frozen=True)
class CompareArguments:
    """Train behaviour cloning on few and on many demonstrations, HG-DAgger, soft actor-critic without prior data, RLPD
    without interventions and HIL-SERL, all with the same limits; settings not named are as `hilserl train` has them."""

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
    task, rest = split_task("compare", words)
    usual = preset(task)
    arguments = parse_verb("compare", task, rest, CompareArguments(usual))
    folder = arguments.out or Path("runs") / f"{task}-{arguments.config.obs}-comparison"
    check_folder(folder, resume=arguments.resume)
    from hilserl.distributed.sweep import members, parse_seeds
    from hilserl.training.baselines import baseline_configs

    runs = members(folder, baseline_configs(arguments.config, usual), parse_seeds(arguments.seeds))
    return bring_about(runs, folder, f"{task} from {arguments.config.obs}", arguments.ray, 0)
