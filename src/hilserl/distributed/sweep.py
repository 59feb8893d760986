"""Sweep of one task over settings and seeds on Ray."""

import dataclasses
import itertools
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import jax
import tyro

from hilserl.distributed.ray_cluster import Cluster, RunOnRay, absolute, attended
from hilserl.errors import HilserlError, unknown
from hilserl.files import atomically
from hilserl.interrupt import Interrupt
from hilserl.runs.plots import plot_groups, table
from hilserl.runs.progress import RunProgress
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import RENAMED_SETTINGS, differences, load_config
from hilserl.training.trainer import train

BASE = "as it is"
"""Label of runs whose settings are not varied."""
_ELSEWHERE = {
    "task": "it is named first",
    "seed": "seeds are varied with --seeds",
    "free_running": "--actors N gives each run its own actors",
}
"""Settings that --set does not take, with the reasons."""
Settings = Sequence[tuple[str, tuple[str, ...]]]
"""Dotted paths into the configuration, each with its values as text."""


@dataclass(frozen=True)
class Member:
    """One run of a sweep."""

    label: str
    """Label of its settings."""
    config: TrainConfig
    run: RunDir


def parse_seeds(text: str) -> tuple[int, ...]:
    """Parse seeds: `0..4` is 0 to 4, `0,3,7` is those three.

    Raises:
        HilserlError: The text is anything else.
    """
    try:
        first, dots, last = text.partition("..")
        seeds = tuple(range(int(first), int(last) + 1)) if dots else tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise HilserlError(f"Invalid seeds {text!r}: expected 0..4 or 0,3,7.") from error
    if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
        raise HilserlError(f"Invalid seeds {text!r}: expected one or more distinct non-negative integers.")
    return seeds


def parse_settings(texts: Sequence[str]) -> Settings:
    """Parse settings such as `agent.utd_ratio=1,4`.

    Raises:
        HilserlError: A text is anything else, or names a setting that cannot be varied.
    """
    settings = []
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.replace("-", "_")
        if not equals or not name or not all(value.strip() for value in values.split(",")):
            raise HilserlError(f"Invalid setting {text!r}: expected NAME=VALUE,VALUE.")
        if name in _ELSEWHERE:
            raise HilserlError(f"{name} cannot be varied with --set: {_ELSEWHERE[name]}.")
        settings.append((name, tuple(values.split(","))))
    names = [name for name, _ in settings]
    if len(set(names)) < len(names):
        raise HilserlError(f"A setting is varied twice: {', '.join(names)}.")
    return tuple(settings)


def with_setting(config: Any, name: str, text: str) -> Any:
    """Return a configuration with another value of one setting.

    Args:
        config: Configuration to change.
        name: Dotted path of the setting.
        text: Value as text; several numbers, as in agent.hidden, are words: `64 64`.

    Raises:
        HilserlError: The setting does not exist, or the value does not fit.
    """
    first, _, rest = name.partition(".")
    kinds = typing.get_type_hints(type(config))
    if first not in kinds:
        raise unknown(f"setting of {type(config).__name__}", first, kinds)
    now, kind = getattr(config, first), kinds[first]
    if dataclasses.is_dataclass(now) and not rest:
        names = ", ".join(f"{name}.{each.name}" for each in dataclasses.fields(now))
        raise HilserlError(f"{name} is a group of settings; name one of them: {names}.")
    if rest and not dataclasses.is_dataclass(now):
        raise HilserlError(f"{first!r} of {type(config).__name__} is one setting; it has no {rest!r}.")
    return dataclasses.replace(config, **{first: with_setting(now, rest, text) if rest else _value(kind, first, text)})


def _value(kind: Any, name: str, text: str) -> Any:
    words = [text.capitalize()] if kind is bool else text.split()
    try:
        return tyro.cli(kind, args=words, console_outputs=False)
    except SystemExit:
        choices = typing.get_args(kind) if typing.get_origin(kind) is Literal else ()
        expected = "one of " + ", ".join(map(str, choices)) if choices else f"{getattr(kind, '__name__', kind)}"
        raise HilserlError(f"Invalid value {text!r} of {name}: expected {expected}.") from None


def combinations(base: TrainConfig, settings: Settings) -> list[tuple[str, TrainConfig]]:
    """Return each combination of the settings, with its label. Raises as `with_setting`."""
    found = []
    for values in itertools.product(*(values for _, values in settings)):
        chosen = [(name, value) for (name, _), value in zip(settings, values, strict=True)]
        config = base
        for name, value in chosen:
            config = with_setting(config, RENAMED_SETTINGS.get(name, name), value)
        found.append((" ".join(f"{name}={value}" for name, value in chosen) or BASE, config))
    return found


def members(directory: Path, configs: Sequence[tuple[str, TrainConfig]], seeds: Sequence[int]) -> list[Member]:
    """Combine each labelled configuration with each seed; each has its own directory.

    Raises:
        HilserlError: A combination is invalid, or its directory holds a run with other settings.
    """
    found = []
    for label, config in configs:
        _check_base(config)
        place = (directory / label.replace(" ", "_").replace("/", "_")).resolve()
        each = absolute(config)
        found += [Member(label, dataclasses.replace(each, seed=k), RunDir(place / f"seed{k}")) for k in seeds]
    if len({member.run.path for member in found}) < len(found):
        raise HilserlError(f"Two combinations are the same: {', '.join(dict.fromkeys(m.label for m in found))}.")
    for member in found:
        _check_done(member)
    return found


def _check_base(config: TrainConfig) -> None:
    if config.operator not in ("scripted", "none"):
        raise HilserlError(
            f"Invalid operator {config.operator!r} of a sweep: expected scripted or none. No human attends each run."
        )
    if config.free_running:
        raise HilserlError(f"A sweep has no --async: {_ELSEWHERE['free_running']}.")
    if config.seed:
        raise HilserlError(f"A sweep has no --seed: {_ELSEWHERE['seed']}.")


def _check_done(member: Member) -> None:
    """Check that a result has the settings it is listed under."""
    if member.run.result.exists() and (other := differences(load_config(member.run.config), member.config)):
        changes = "; ".join(f"{name} was {old!r}, not {new!r}" for name, (old, new) in other.items())
        raise HilserlError(f"The run in {member.run.path} was done with other settings: {changes}. Name another --out.")


def sweep(
    cluster: Cluster, runs: Sequence[Member], actors: int, say: Callable[[str], object]
) -> tuple[dict[Path, Exception], bool]:
    """Finish every run, as many at a time as fit.

    A run that was begun is resumed; a run with a result is left as it is.

    Args:
        cluster: Cluster of the runs.
        runs: Runs of the sweep.
        actors: Actors of each run.
        say: Called with a sentence about each run that ends.

    Returns:
        Errors by run directory, and whether Ctrl-C ended the sweep.
    """
    waiting = [member for member in runs if not member.run.result.exists()]
    interrupt, failed = Interrupt(), {}
    with interrupt.armed():
        going = {_begin(cluster, member, actors): member for member in waiting}
        for number, run in enumerate(attended(cluster, list(going), interrupt), 1):
            member = going[run]
            if run.failure is not None and run.result is None:
                failed[member.run.path] = run.failure
            say(f"{number} of {len(waiting)}: {_outcome(member, run.result, run.failure)}")
    return failed, interrupt.requested


def sweep_in_turn(
    runs: Sequence[Member], say: Callable[[str], object], progress: Callable[[TrainConfig], RunProgress]
) -> tuple[dict[Path, Exception], bool]:
    """Finish every run in this process, one after the other.

    Args:
        runs: Runs of the sweep, as in `sweep`.
        say: Called with a sentence about each run that ends.
        progress: Makes the display of a run.

    Returns:
        As `sweep`.
    """
    waiting = [member for member in runs if not member.run.result.exists()]
    interrupt, failed = Interrupt(), {}
    with interrupt.armed():
        for number, member in enumerate(waiting, 1):
            result = failure = None
            try:
                result = train(
                    member.config,
                    member.run,
                    resume=member.run.config.exists(),
                    interrupt=interrupt,
                    progress=progress(member.config),
                )
            except HilserlError as error:
                failed[member.run.path] = failure = error
            say(f"{number} of {len(waiting)}: {_outcome(member, result, failure)}")
            if interrupt.requested:
                break
            # The next run compiles its own update step; this one's would stay in memory.
            jax.clear_caches()
    return failed, interrupt.requested


def _outcome(member: Member, result: dict[str, Any] | None, failure: Exception | None) -> str:
    if result is not None:
        came = "{successes} of {episodes} episodes succeed".format(**result["evaluation"])
    else:
        came = "interrupted" if failure is None else str(failure)
    return f"{member.label}, seed {member.config.seed}: {came}"


def _begin(cluster: Cluster, member: Member, actors: int) -> RunOnRay:
    name = f"{member.label}, seed {member.config.seed}"
    return RunOnRay(cluster, member.config, member.run, actors, resume=member.run.config.exists(), name=name)


def write_report(directory: Path, runs: Sequence[Member], title: str) -> str:
    """Write `table.md` and `curves.png` of the finished runs; return the table."""
    groups: dict[str, list[RunDir]] = {}
    for member in runs:
        if member.run.result.exists():
            groups.setdefault(member.label, []).append(member.run)
    text = table(groups)
    atomically(directory / "table.md", lambda part: part.write_text(text))
    if groups:
        plot_groups(groups, directory / "curves.png", title)
    return text
