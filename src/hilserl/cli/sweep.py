"""Train over settings and seeds on a Ray cluster."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from hilserl.cli.arguments import output_directory, parse_for_task
from hilserl.errors import HilserlError
from hilserl.settings import Count
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
    """Seeds: FIRST..LAST, or SEED,SEED,..."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Values of a setting: NAME=VALUE,VALUE,... such as agent.utd_ratio=1,4; may be repeated."""
    out: Path | None = None
    """Directory of runs, table and plot; by default runs/TASK-sweep."""
    actors: Count = 0
    """Actors of each run, with one learner. 0 trains each run in one process."""
    ray: str | None = None
    """Address of the Ray cluster, or auto. By default a cluster of this machine is started."""
    resume: bool = False
    """Resume the sweep in the directory. Runs with a result stay as they are."""


def run(words: Sequence[str]) -> int:
    """Train all runs of the sweep."""
    arguments = parse_for_task("sweep", words, SweepArguments)
    task = arguments.config.task
    directory = arguments.out or Path("runs") / f"{task}-sweep"
    from hilserl.distributed.sweep import combinations, members, parse_seeds, parse_settings

    configs = combinations(arguments.config, parse_settings(arguments.set))
    runs = members(directory, configs, parse_seeds(arguments.seeds))
    with output_directory(directory, resume=arguments.resume):
        return run_members(runs, directory, task, arguments.ray, arguments.actors)


def run_members(runs: "Sequence[Member]", directory: Path, title: str, ray: str | None, actors: int) -> int:
    """Train all runs, then print and write their results.

    Returns:
        The exit status: 0 done, 1 if a run failed, 130 interrupted.
    """
    servers = [member.config.env.robot.server for member in runs if member.config.env.backend == "robot"]
    if len(set(servers)) < len(servers) or (servers and actors > 1):
        raise HilserlError("Runs side by side need --env sim: one arm takes one actor.")
    from hilserl.distributed.ray_cluster import connected
    from hilserl.distributed.sweep import sweep, write_report

    with connected(ray) as cluster:
        failed, interrupted = sweep(cluster, runs, actors, lambda text: print(text, flush=True))
    print(f"\n{write_report(directory, runs, title)}\nIn {directory}: table.md, curves.png and the runs.")
    return exit_status(failed, interrupted=interrupted)


def exit_status(failed: Mapping[Path, Exception], *, interrupted: bool) -> int:
    """Tell how the runs of a sweep ended.

    Returns:
        The exit status: 0 done, 1 if a run failed, 130 interrupted.
    """
    for path, error in failed.items():
        print(f"hilserl: {path}: {error}", file=sys.stderr)
    if interrupted:
        print("Interrupted. Resume with the same command and --resume.")
        return 130
    return 1 if failed else 0
