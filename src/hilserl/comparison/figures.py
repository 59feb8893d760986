"""Figures of a benchmark's runs, and the table of them."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from statistics import mean
from typing import Any

from hilserl.comparison.plan import Case
from hilserl.data.episode_summary import wilson_interval
from hilserl.runs.effort import TRUSTED_RATE, robot_minutes
from hilserl.runs.metrics import read_metrics
from hilserl.runs.plots import human_seconds
from hilserl.runs.run_dir import RunDir

AREA_SECONDS = 600.0
"""Human seconds over which the success is averaged: ten minutes."""
_HEADER = (
    "| task | people | method | success | 95 % interval | each seed | env steps | robot-minutes | human s to 90 % "
    "| human s | area |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)

Point = tuple[int, float, float]
"""Environment steps, human seconds so far and success rate of an evaluation."""


def curve_of(run: RunDir) -> list[Point]:
    """Return the evaluations of a finished run.

    The last one is the final evaluation, of the best checkpoint.
    """
    result = run.read_result()
    demonstrated = result["demonstration_seconds"]
    points = [
        (record["env_steps"], round(demonstrated + record["human_seconds"], 1), record["success_rate"])
        for record in read_metrics(run.metrics, "evaluation")
    ]
    final = (result["env_steps"], round(human_seconds(result), 1), result["evaluation"]["success_rate"])
    return [*points, final]


def seconds_to(rate: float, curve: Sequence[Point]) -> float | None:
    """Return the human seconds until an evaluation has this success."""
    return next((seconds for _, seconds, success in curve if success >= rate), None)


def area_under(curve: Sequence[Point], seconds: float = AREA_SECONDS) -> float:
    """Return the mean success over the first human seconds.

    The success is that of the last evaluation so far: 0 before the first one, and the final one after the run.
    """
    reached = [(min(at, seconds), success) for _, at, success in curve]
    ends = [*(at for at, _ in reached[1:]), seconds]
    return sum(success * (end - at) for (at, success), end in zip(reached, ends, strict=True)) / seconds


def figures_of(case: Case) -> dict[str, Any]:
    """Return the figures of a finished run.

    Raises:
        HilserlError: The run has no result, or a file is damaged.
    """
    run = case.member.run
    result, curve = run.read_result(), curve_of(run)
    return {
        "task": case.task,
        "obs": result["obs"],
        "method": case.method,
        "people": case.people,
        "seed": result["seed"],
        "ended": result["ended"],
        "env_steps": result["env_steps"],
        "robot_minutes": round(robot_minutes(result["env_steps"]), 2),
        "demonstration_seconds": result["demonstration_seconds"],
        "human_seconds": round(human_seconds(result), 1),
        "human_seconds_to_90": seconds_to(TRUSTED_RATE, curve),
        "area": round(area_under(curve), 3),
        "successes": result["evaluation"]["successes"],
        "episodes": result["evaluation"]["episodes"],
        "minutes": round(result["wall_seconds"] / 60, 1),
        "commit": result["provenance"]["commit"],
        "curve": curve,
    }


def table(runs: Iterable[Mapping[str, Any]]) -> str:
    """Return a Markdown table, a row for each task, operator and method.

    The evaluations of all seeds are pooled for the success and its Wilson interval. All other columns are means over
    the seeds. Human seconds to 90 % are those of the seeds that reached it, and the row says how many did.
    """
    groups = itertools.groupby(sorted(runs, key=_group), key=_group)
    return "\n".join([_HEADER, *(_row([*group]) for _, group in groups)]) + "\n"


def _group(run: Mapping[str, Any]) -> tuple[str, ...]:
    return run["task"], run["obs"], run["people"], run["method"]


def _row(runs: Sequence[Mapping[str, Any]]) -> str:
    first = runs[0]
    successes, episodes = (sum(run[name] for run in runs) for name in ("successes", "episodes"))
    low, high = wilson_interval(successes, episodes)
    reached = [run["human_seconds_to_90"] for run in runs if run["human_seconds_to_90"] is not None]
    to_90 = f"{mean(reached):,.0f}" if reached else "never"
    if reached and len(reached) < len(runs):
        to_90 += f" ({len(reached)} of {len(runs)} seeds)"
    cells = (
        f"`{first['task']}`, {first['obs']}",
        first["people"],
        f"`{first['method']}`",
        f"{100 * successes / episodes:.1f} %",
        f"{100 * low:.1f} to {100 * high:.1f} %",
        ", ".join(str(run["successes"]) for run in sorted(runs, key=lambda run: run["seed"])),
        f"{mean(run['env_steps'] for run in runs):,.0f}",
        f"{mean(run['robot_minutes'] for run in runs):.1f}",
        to_90,
        f"{mean(run['human_seconds'] for run in runs):,.0f}",
        f"{mean(run['area'] for run in runs):.2f}",
    )
    return f"| {' | '.join(cells)} |"
