"""hilserl sweep TASK: many runs over settings and seeds on a Ray cluster, and what they came to, side by side."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from hilserl.cli.arguments import check_directory, parse_for_task
from hilserl.errors import HilserlError
from hilserl.training.config import TrainConfig

if TYPE_CHECKING:
    from hilserl.distributed.sweep import Member


@dataclass(frozen=True)
class SweepArguments:
    """Train every combination of settings and seeds on a Ray cluster.

    The result is one table and one plot. Settings without --set are those of `hilserl train`.
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    seeds: str = "0..2"
    """FIRST..LAST, or SEED,SEED,..."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """NAME=VALUE,VALUE,...: a setting of `hilserl train`, as in agent.utd_ratio=1,4; may be given several times."""
    out: Path | None = None
    """Where the runs, the table and the plot are kept; by default runs/TASK-sweep."""
    actors: int = 0
    """So many actors and a learner for each run, instead of one process in lockstep."""
    ray: str | None = None
    """The cluster's address, or `auto`; by default one is started on this machine."""
    resume: bool = False
    """Go on with the sweep that is in the directory: runs with a result are left as they are."""


def run(words: Sequence[str]) -> int:
    arguments = parse_for_task("sweep", words, SweepArguments)
    task = arguments.config.task
    if arguments.actors < 0:
        raise HilserlError(f"--actors must not be negative, got {arguments.actors}.")
    folder = arguments.out or Path("runs") / f"{task}-sweep"
    check_directory(folder, resume=arguments.resume)
    from hilserl.distributed.sweep import combinations, members, parse_seeds, parse_settings

    configs = combinations(arguments.config, parse_settings(arguments.set))
    runs = members(folder, configs, parse_seeds(arguments.seeds))
    return bring_about(runs, folder, task, arguments.ray, arguments.actors)


def bring_about(runs: "Sequence[Member]", folder: Path, title: str, ray: str | None, actors: int) -> int:
    """Brings all runs to their results and says what they came to; returns the exit status."""
    servers = [member.config.env.robot.server for member in runs if member.config.env.backend == "robot"]
    if len(set(servers)) < len(servers) or (servers and actors > 1):
        raise HilserlError("One arm has room for one actor, and the runs go on side by side: they need --env sim.")
    from hilserl.distributed.ray_cluster import connected
    from hilserl.distributed.sweep import sweep, write_report

    with connected(ray) as cluster:
        folder.mkdir(parents=True, exist_ok=True)
        failed, interrupted = sweep(cluster, runs, actors, lambda text: print(text, flush=True))
    print(f"\n{write_report(folder, runs, title)}\nKept in {folder}: table.md, curves.png and the runs.")
    for path, error in failed.items():
        print(f"hilserl: {path}: {error}", file=sys.stderr)
    if interrupted:
        print("Interrupted. Go on with the same command and --resume.")
        return 130
    return 1 if failed else 0
