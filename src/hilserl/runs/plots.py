"""Learning curves of runs, and a table of their results over seeds."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hilserl.data.episode_summary import wilson_interval
from hilserl.files import atomically
from hilserl.runs.counters import RECENT_EPISODES
from hilserl.runs.effort import STEPS_PER_ROBOT_MINUTE, robot_minutes
from hilserl.runs.metrics import read_metrics
from hilserl.runs.run_dir import RunDir

_GREEN, _RED, _BLUE = "#2a7f4f", "#c0392b", "#2c5f9e"
_HEADER = (
    "| | seeds | success | 95 % interval | each seed | episode | human time | env steps | robot-minutes | minutes |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def plot_curve(metrics: Path, target: Path, title: str) -> None:
    """Plot success with its interval, interventions and return.

    The columns are environment steps and human steps. A return that evaluations count has its own row. What a run does
    not have is left out: success in an environment that does not report it, human steps without interventions.

    Args:
        metrics: the run's `metrics.jsonl`.
        target: the PNG image.
        title: title of the image.
    """
    episodes = read_metrics(metrics, "episode")
    evaluations = read_metrics(metrics, "evaluation")
    by_return = any(e.get("mean_return") is not None for e in evaluations)
    helped = any(e["human_steps"] for e in episodes)
    columns = [("env_steps", "environment steps"), ("human_steps", "human steps")][: 1 + helped]
    rows: list[tuple[str, str, Callable[[Axes, str], None]]] = []
    if all(e.get("tells_success", True) for e in evaluations):
        rows.append(("success rate", "lower right", lambda axes, x: _draw_success(axes, evaluations, episodes, x)))
    if by_return:
        rows.append(("return", "lower right", lambda axes, x: _draw_return(axes, evaluations, episodes, x)))
    if helped or not by_return:
        over = f"mean of the last {RECENT_EPISODES} episodes"
        rows.append((over, "center right", lambda axes, x: _draw_effort(axes, episodes, x, with_return=not by_return)))
    size = (5.5 * len(columns), 3.5 * len(rows))
    figure, axes = plt.subplots(
        len(rows), len(columns), figsize=size, sharey="row", squeeze=False, layout="constrained"
    )
    _show_robot_minutes(axes[0, 0])
    for row, (label, place, draw) in zip(axes, rows, strict=True):
        for each, (x, x_label) in zip(row, columns, strict=True):
            draw(each, x)
            _tidy(each, x_label)
        row[0].set_ylabel(label)
        row[0].legend(loc=place, frameon=False)
    figure.suptitle(title)
    _save(figure, target)


def plot_cloning(metrics: Path, target: Path, title: str) -> None:
    """Plot success and action error of a run that only clones.

    Args:
        metrics: the run's `metrics.jsonl`.
        target: the PNG image.
        title: title of the image.
    """
    evaluations, records = read_metrics(metrics, "evaluation"), read_metrics(metrics, "cloning")
    figure, axes = plt.subplots(1, 2, figsize=(11, 4), constrained_layout=True)
    _draw_evaluations(axes[0], evaluations, "update_steps")
    axes[0].set_ylabel("success rate")
    for name, label, colour in (("", "learned from", _BLUE), ("held_out_", "held out", _RED)):
        known = [r for r in records if f"{name}continuous_error" in r]
        axes[1].plot(
            [r["update_steps"] for r in known], [r[f"{name}continuous_error"] for r in known], color=colour, label=label
        )
    axes[1].set(ylabel="error of continuous actions, part of a full action", ylim=(0, None))
    for each in axes:
        _tidy(each, "update steps")
        each.legend(loc="best", frameon=False)
    figure.suptitle(title)
    _save(figure, target)


def plot_groups(groups: Mapping[str, Sequence[RunDir]], target: Path, title: str) -> None:
    """Plot the success of groups of runs.

    The left part shows evaluations over environment steps, the right part the final evaluation over human seconds. Each
    run is a thin line and each group's mean a thick one. The band reaches from the worst to the best run: with a few
    seeds this says more than an interval computed from them. A run that ended early because it was solved counts as
    solved from there on; the mean ends with the first run that ended for another reason. Runs that did not act are
    level lines at their final success. A run that has not ended is drawn up to its last evaluation, and the legend says
    so; it has no final success.

    Args:
        groups: runs by label.
        target: the PNG image.
        title: title of the image.
    """
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4), sharey="row", width_ratios=(3, 2), constrained_layout=True)
    colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    curves = {label: [_evaluated(run.metrics) for run in runs] for label, runs in groups.items()}
    longest = max(steps[-1] for runs in curves.values() for steps, _ in runs)
    for colour, (label, runs) in zip(cycle(colours), groups.items(), strict=False):
        results = [run.read_result() for run in runs if run.has_ended]
        shown = label if len(results) == len(runs) else f"{label} ({len(runs) - len(results)} in progress)"
        came_to = [result["evaluation"]["success_rate"] for result in results]
        if results and all(steps[-1] == 0 for steps, _ in curves[label]):
            level = float(np.mean(came_to))
            axes[0].plot([0, longest], [level, level], color=colour, ls="--", lw=1.6, label=shown)
        else:
            _draw_group(axes[0], curves[label], shown, colour)
        axes[1].plot([human_seconds(result) for result in results], came_to, "o", color=colour, ms=7, alpha=0.7)
    axes[0].set(ylabel="success rate, autonomous", ylim=(-0.03, 1.03))
    _tidy(axes[0], "environment steps")
    _show_robot_minutes(axes[0])
    _tidy(axes[1], "human seconds, demonstrations included")
    figure.suptitle(title)
    figure.legend(loc="outside lower center", ncols=min(3, len(groups)), frameon=False)
    _save(figure, target)


def human_seconds(result: Mapping[str, Any]) -> float:
    """Return a run's human seconds, demonstrations included.

    A result without them gives NaN.
    """
    return result["human_seconds"] + result.get("demonstration_seconds", math.nan)


def _draw_group(axes: Axes, runs: Sequence[tuple[list[int], list[float]]], label: str, colour: str) -> None:
    for steps, success in runs:
        axes.plot(steps, success, color=colour, alpha=0.35, lw=1)
    cut_short = [steps[-1] for steps, success in runs if success[-1] < 1]
    grid = np.linspace(0, min(cut_short) if cut_short else max(steps[-1] for steps, _ in runs), 200)
    values = np.array([np.interp(grid, steps, success) for steps, success in runs])
    axes.fill_between(grid, values.min(0), values.max(0), color=colour, alpha=0.12, lw=0)
    axes.plot(grid, values.mean(0), color=colour, lw=2.2, label=label)


def _tidy(axes: Axes, label: str) -> None:
    axes.set_xlabel(label)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _show_robot_minutes(axes: Axes) -> None:
    """Show the robot-minutes of an axis of environment steps above it."""
    scale = (lambda steps: steps / STEPS_PER_ROBOT_MINUTE, lambda minutes: minutes * STEPS_PER_ROBOT_MINUTE)
    axes.secondary_xaxis("top", functions=scale).set_xlabel("robot-minutes")


def _save(figure: Figure, target: Path) -> None:
    atomically(target, lambda part: figure.savefig(part, format="png", dpi=120))
    plt.close(figure)


def _evaluated(metrics: Path) -> tuple[list[int], list[float]]:
    """Read environment steps and success rates of evaluations. At step 0 success is 0 unless evaluated."""
    records = read_metrics(metrics, "evaluation")
    begun = [] if records and records[0]["env_steps"] == 0 else [(0, 0.0)]
    steps, success = zip(*begun, *((r["env_steps"], r["success_rate"]) for r in records), strict=True)
    return list(steps), list(success)


def _draw_success(axes: Axes, evaluations: list[dict[str, Any]], episodes: list[dict[str, Any]], axis: str) -> None:
    alone = _running_mean([e["success"] and not e["intervened_steps"] for e in episodes])
    axes.plot([e[axis] for e in episodes], alone, color=_BLUE, alpha=0.6, lw=1.2, label="training episodes, alone")
    _draw_evaluations(axes, evaluations, axis)


def _draw_evaluations(axes: Axes, evaluations: list[dict[str, Any]], axis: str) -> None:
    if evaluations:
        x = [e[axis] for e in evaluations]
        low, high = np.array([e["wilson_95"] for e in evaluations]).T
        axes.fill_between(x, low, high, color=_GREEN, alpha=0.2, lw=0, label="95 % interval")
        axes.plot(x, [e["success_rate"] for e in evaluations], "o-", color=_GREEN, ms=4, label="evaluation")
    axes.set_ylim(-0.03, 1.03)


def _draw_return(axes: Axes, evaluations: list[dict[str, Any]], episodes: list[dict[str, Any]], axis: str) -> None:
    returns = _running_mean([e["episode_return"] for e in episodes])
    axes.plot([e[axis] for e in episodes], returns, color=_BLUE, alpha=0.6, lw=1.2, label="training episodes")
    judged = [e for e in evaluations if e.get("mean_return") is not None]
    axes.plot(
        [e[axis] for e in judged], [e["mean_return"] for e in judged], "o-", color=_GREEN, ms=4, label="evaluation"
    )


def _draw_effort(axes: Axes, episodes: list[dict[str, Any]], axis: str, *, with_return: bool) -> None:
    x = [e[axis] for e in episodes]
    human = _running_mean([e["intervened_steps"] for e in episodes])
    steps = _running_mean([e["steps"] for e in episodes])
    axes.plot(x, human / np.maximum(steps, 1e-9), color=_RED, lw=1.5, label="intervention rate")
    agreement = [e.get("agreement", 1.0) for e in episodes]
    if min(agreement) < 1:
        axes.plot(x, agreement, color=_GREEN, lw=1.2, label="reward is true")
    if with_return:
        axes.plot(x, _running_mean([e["episode_return"] for e in episodes]), color=_BLUE, lw=1.5, label="return")


def _running_mean(values: list[Any]) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(np.array(values, float))])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - RECENT_EPISODES)
    return (sums[ends] - sums[starts]) / (ends - starts)


def table(groups: Mapping[str, Sequence[RunDir]]) -> str:
    """Return a Markdown table with one row a group.

    The evaluations of all seeds are pooled, and the interval is Wilson's: it says how certain the success of these
    policies is, not how another seed would do, which the column of each seed shows. The other columns are means over
    seeds: the length of an evaluated episode, with failures at their full length, the human seconds, demonstrations
    included, and the robot-minutes of 600 environment steps.

    Raises:
        HilserlError: a run has no result, or one that is damaged.
    """
    return "\n".join([_HEADER, *(_row(label, runs) for label, runs in groups.items())]) + "\n"


def _row(label: str, runs: Sequence[RunDir]) -> str:
    results = [run.read_result() for run in runs]
    outcomes = [result["evaluation"] for result in results]
    successes, episodes = (sum(outcome[name] for outcome in outcomes) for name in ("successes", "episodes"))
    low, high = wilson_interval(successes, episodes)
    cells = (
        label,
        ", ".join(str(result["seed"]) for result in results),
        f"{100 * successes / episodes:.1f} %",
        f"{100 * low:.1f} to {100 * high:.1f} %",
        ", ".join(str(outcome["successes"]) for outcome in outcomes) + f" of {outcomes[0]['episodes']}",
        f"{np.mean([outcome['mean_episode_seconds'] for outcome in outcomes]):.1f} s",
        f"{np.mean([human_seconds(result) for result in results]):,.0f} s",
        f"{np.mean([result['env_steps'] for result in results]):,.0f}",
        f"{robot_minutes(float(np.mean([result['env_steps'] for result in results]))):.1f}",
        f"{np.mean([result['wall_seconds'] for result in results]) / 60:.1f}",
    )
    return f"| {' | '.join(cells)} |"
