"""Compare learning methods with simulated people."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from hilserl.cli.arguments import output_directory
from hilserl.cli.parsing import parse
from hilserl.cli.sweep import exit_status
from hilserl.envs.options import ObsName

if TYPE_CHECKING:
    from hilserl.comparison.plan import Case

_LOCAL = "local"


@dataclass(frozen=True)
class BenchmarkArguments:
    """Train tasks with methods, simulated people and seeds, and compare them.

    The result is one table, one plot, and one JSON file with the figures of all runs. A run that is finished stays as
    it is, and one that was begun is resumed.
    """

    tasks: tuple[str, ...] = ()
    """Tasks, gym-hil-pick-cube, robosuite-lift, metaworld-NAME, or PACKAGE:ENV_ID. By default all of hilserl's."""
    methods: tuple[str, ...] = ("bc", "hg-dagger", "rlpd", "hil-serl", "hilserl", "rlif")
    """Methods, or algorithms of your own as FILE.py:CLASS."""
    people: tuple[str, ...] = ("steady", "keyboard", "clumsy")
    """Profiles of the simulated operator, who demonstrates and intervenes."""
    seeds: str = "0..2"
    """Seeds: FIRST..LAST, or SEED,SEED,..."""
    obs: ObsName = "state"
    """Observation of the policy: true object state, or camera images."""
    set: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Setting of all methods, NAME=VALUE, such as max_env_steps=3000; may be repeated."""
    out: Path | None = None
    """Directory of runs, table, plot and figures; by default runs/benchmark-OBS."""
    record: Path | None = None
    """JSON file of the figures with their origin.

    By default benchmark.json in the directory.
    """
    ray: str | None = None
    """Ray cluster: an address, auto, or local for one of this machine. By default the runs follow each other."""
    resume: bool = False
    """Resume the benchmark in the directory. Runs with a result stay as they are."""


def run(words: Sequence[str]) -> int:
    """Train all runs of the benchmark."""
    arguments = parse("benchmark", BenchmarkArguments, words)
    from hilserl import tasks
    from hilserl.comparison.plan import plan, task_config, with_common
    from hilserl.distributed.sweep import parse_seeds, parse_settings

    directory = arguments.out or Path("runs") / f"benchmark-{arguments.obs}"
    common = parse_settings(arguments.set)
    configs = {name: with_common(task_config(name, arguments.obs), common) for name in arguments.tasks or tasks.names()}
    cases = plan(directory, configs, arguments.methods, arguments.people, parse_seeds(arguments.seeds))
    with output_directory(directory, resume=arguments.resume):
        failed, interrupted = _train(cases, arguments.ray)
        command = shlex.join(["hilserl", "benchmark", *(word for word in words if word != "--resume")])
        _report(cases, directory, arguments.record or directory / "benchmark.json", command)
    return exit_status(failed, interrupted=interrupted)


def _train(cases: "Sequence[Case]", ray: str | None) -> tuple[dict[Path, Exception], bool]:
    from hilserl.distributed.sweep import sweep, sweep_in_turn

    runs = [case.member for case in cases]

    def say(text: str) -> None:
        print(text, flush=True)

    if ray is None:
        from hilserl.cli.progress import ProgressBars

        return sweep_in_turn(runs, say, ProgressBars)
    from hilserl.distributed.ray_cluster import connected

    with connected(None if ray == _LOCAL else ray) as cluster:
        return sweep(cluster, runs, 0, say)


def _report(cases: "Sequence[Case]", directory: Path, record: Path, command: str) -> None:
    """Print and write the results of the finished runs."""
    from hilserl.comparison.curves import plot_benchmark
    from hilserl.comparison.figures import figures_of, table
    from hilserl.files import atomically
    from hilserl.runs.provenance import write_record

    figures = [figures_of(case) for case in cases if case.member.run.has_ended]
    if not figures:
        return
    text = table(figures)
    atomically(directory / "table.md", lambda part: part.write_text(text))
    plot_benchmark(figures, directory / "curves.png")
    write_record(record, command, {"runs": figures})
    print(f"\n{text}\nIn {directory}: table.md, curves.png and the runs. Figures: {record}")
