"""Many runs of one task, over settings and seeds, on a Ray cluster; and what they came to, side by side."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hilserl.errors import HilserlError
from hilserl.experience import atomically
from hilserl.statistics import wilson_interval
from hilserl.training.cluster import LEARNER_CPUS, outcome, train_on_ray
from hilserl.training.config import TrainConfig
from hilserl.training.interrupt import Interrupt
from hilserl.training.plots import plot_groups
from hilserl.training.rundir import RunDir

BASE = "as it is"
"""The label of runs whose settings are not varied."""
_POLL_S = 0.5
_HEADER = (
    "| | seeds | success | 95 % interval | each seed | env steps | human steps | minutes |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


@dataclass(frozen=True)
class Member:
    """One run of a sweep."""

    label: str
    """Of its settings."""
    config: TrainConfig
    run: RunDir


def parse_seeds(text: str) -> tuple[int, ...]:
    """`0..4` is 0 to 4, both included; `0,3,7` is those. Raises HilserlError for anything else."""
    try:
        first, dots, last = text.partition("..")
        seeds = tuple(range(int(first), int(last) + 1)) if dots else tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise HilserlError(f"{text!r} are not seeds; expected 0..4 or 0,3,7.") from error
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise HilserlError(f"{text!r} are not seeds: there must be some, none negative, none twice.")
    return seeds


def parse_settings(texts: Sequence[str]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """`agent.utd_ratio=1,4` is a setting and its values. Raises HilserlError for anything else."""
    settings = []
    for text in texts:
        name, equals, values = text.partition("=")
        if not equals or not name or not all(values.split(",")):
            raise HilserlError(f"{text!r} does not vary a setting; expected NAME=VALUE,VALUE.")
        settings.append((name, tuple(values.split(","))))
    names = [name for name, _ in settings]
    if "seed" in names:
        raise HilserlError("Seeds are varied with --seeds, not with --set seed.")
    if len(set(names)) < len(names):
        raise HilserlError(f"A setting is varied twice: {', '.join(names)}.")
    return tuple(settings)


def members(
    folder: Path,
    settings: Sequence[tuple[str, tuple[str, ...]]],
    seeds: Sequence[int],
    configured: Callable[[Sequence[str]], TrainConfig],
) -> list[Member]:
    """Every combination of the settings with every seed; `configured` makes a config of `hilserl train`'s flags."""
    found = []
    for values in itertools.product(*(values for _, values in settings)):
        chosen = [(name, value) for (name, _), value in zip(settings, values, strict=True)]
        label = " ".join(f"{name}={value}" for name, value in chosen) or BASE
        flags = [word for name, value in chosen for word in (f"--{name.replace('_', '-')}", value)]
        for seed in seeds:
            place = folder / label.replace(" ", "_").replace("/", "_") / f"seed{seed}"
            found.append(Member(label, configured([*flags, "--seed", str(seed)]), RunDir(place.resolve())))
    return found


def sweep(runs: Sequence[Member], actors: int, ray: Any, say: Callable[[str], object]) -> dict[Path, HilserlError]:
    """Brings every run to its result, as many at a time as the cluster has room for; returns what kept the others.

    A run that was begun is gone on with, one that has its result is left as it is. Ctrl-C ends all of them cleanly,
    and raises KeyboardInterrupt.
    """
    waiting = [member for member in runs if not member.run.result.exists()]
    interrupt = Interrupt()
    with interrupt.armed():
        finished = _beside_actors(waiting, actors, ray, interrupt) if actors else _alone(waiting, ray, interrupt)
        failed = {}
        for number, (member, error) in enumerate(finished, 1):
            if error is not None:
                failed[member.run.path] = error
            say(f"{number} of {len(waiting)}: {member.label}, seed {member.config.seed}: {error or 'done'}")
    if interrupt.requested:
        raise KeyboardInterrupt
    return failed


_Finished = Iterator[tuple[Member, HilserlError | None]]


def _alone(runs: Sequence[Member], ray: Any, interrupt: Interrupt) -> _Finished:
    """Each run in a process somewhere, in lockstep; one that is killed is begun again where it was."""
    work = ray.remote(max_calls=1, max_retries=-1)(_train).options(num_cpus=LEARNER_CPUS)
    tasks = {work.remote(member.config, member.run.path): member for member in runs}
    told = False
    while tasks:
        ready, _ = ray.wait(list(tasks), timeout=_POLL_S)
        if interrupt.requested and not told:
            told = True
            for task in tasks:
                ray.cancel(task)
        for task in ready:
            try:
                outcome(ray, task)
                yield tasks.pop(task), None
            except HilserlError as error:
                yield tasks.pop(task), error
            except ray.exceptions.TaskCancelledError:
                tasks.pop(task)


def _train(config: TrainConfig, path: Path) -> dict[str, Any] | None:
    """One run's task; begun a second time it goes on with what it has."""
    from hilserl.training.train import train

    run = RunDir(path)
    return train(config, run, resume=run.config.exists())


def _beside_actors(runs: Sequence[Member], actors: int, ray: Any, interrupt: Interrupt) -> _Finished:
    """Each run as a learner and its actors; runs that have no room yet wait for it."""

    def work(member: Member) -> None:
        if not interrupt.requested:
            train_on_ray(member.config, member.run, actors, ray, resume=member.run.config.exists(), interrupt=interrupt)

    with ThreadPoolExecutor(max(1, len(runs)), "run") as threads:
        tasks = {threads.submit(work, member): member for member in runs}
        for task in as_completed(tasks):
            error = task.exception()
            if error is not None and not isinstance(error, HilserlError):
                raise error
            yield tasks[task], error


def write_report(folder: Path, runs: Sequence[Member], title: str) -> str:
    """Writes `table.md` and `curves.png` of the runs that have a result; returns the table."""
    groups: dict[str, list[RunDir]] = {}
    for member in runs:
        if member.run.result.exists():
            groups.setdefault(member.label, []).append(member.run)
    table = "\n".join([_HEADER, *(_row(label, group) for label, group in groups.items())]) + "\n"
    atomically(folder / "table.md", lambda part: part.write_text(table))
    if groups:
        metrics = {label: [run.metrics for run in group] for label, group in groups.items()}
        plot_groups(metrics, folder / "curves.png", title)
    return table


def _row(label: str, group: Sequence[RunDir]) -> str:
    """Of some seeds: the evaluations pooled with their Wilson interval, the rest as means."""
    results = [run.read_result() for run in group]
    outcomes = [result["evaluation"] for result in results]
    successes, episodes = (sum(o[name] for o in outcomes) for name in ("successes", "episodes"))
    low, high = wilson_interval(successes, episodes)
    means = {name: np.mean([r[name] for r in results]) for name in ("env_steps", "human_steps", "wall_seconds")}
    cells = (
        label,
        ", ".join(str(result["seed"]) for result in results),
        f"{100 * successes / episodes:.1f} %",
        f"{100 * low:.1f} to {100 * high:.1f} %",
        ", ".join(str(o["successes"]) for o in outcomes) + f" of {outcomes[0]['episodes']}",
        f"{means['env_steps']:,.0f}",
        f"{means['human_steps']:,.0f}",
        f"{means['wall_seconds'] / 60:.1f}",
    )
    return f"| {' | '.join(cells)} |"
