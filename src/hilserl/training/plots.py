"""What runs came to: learning curves, drawn from their own metrics files, and a table over seeds."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from hilserl.experience import atomically
from hilserl.training.evaluation import wilson_interval
from hilserl.training.metrics import RECENT_EPISODES, read_metrics
from hilserl.training.rundir import RunDir

_GREEN, _RED, _BLUE = "#2a7f4f", "#c0392b", "#2c5f9e"
_HEADER = (
    "| | seeds | success | 95 % interval | each seed | env steps | human steps | minutes |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def plot_curve(metrics: Path, target: Path, title: str) -> None:
    """Success with its interval, interventions and return, over environment steps and over human steps."""
    episodes = read_metrics(metrics, "episode")
    evaluations = read_metrics(metrics, "evaluation")
    figure, axes = plt.subplots(2, 2, figsize=(11, 7), sharey="row", constrained_layout=True)
    for column, (axis, label) in enumerate((("env_steps", "environment steps"), ("human_steps", "human steps"))):
        _draw_success(axes[0, column], evaluations, episodes, axis)
        _draw_effort(axes[1, column], episodes, axis)
        for row in axes[:, column]:
            row.set_xlabel(label)
            row.grid(alpha=0.25)
            row.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("success rate")
    axes[1, 0].set_ylabel(f"mean of the last {RECENT_EPISODES} episodes")
    axes[0, 0].legend(loc="lower right", frameon=False)
    axes[1, 0].legend(loc="center right", frameon=False)
    figure.suptitle(title)
    atomically(target, lambda part: figure.savefig(part, format="png", dpi=120))
    plt.close(figure)


def plot_groups(groups: dict[str, list[Path]], target: Path, title: str) -> None:
    """Evaluated success over environment steps: each run's metrics file a thin line, each group's mean a thick one, and
    a band from the worst to the best of its runs, which of a few seeds says more than an interval computed from them.

    A run that ended early, solved, counts as solved from there on; the mean ends with the first run that was cut short.
    """
    figure, axes = plt.subplots(figsize=(7, 4), constrained_layout=True)
    colours = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    curves = {label: [_evaluated(path) for path in paths] for label, paths in groups.items()}
    for colour, (label, runs) in zip(cycle(colours), curves.items(), strict=False):
        for steps, success in runs:
            axes.plot(steps, success, color=colour, alpha=0.35, lw=1)
        cut_short = [steps[-1] for steps, success in runs if success[-1] < 1]
        grid = np.linspace(0, min(cut_short) if cut_short else max(steps[-1] for steps, _ in runs), 200)
        values = np.array([np.interp(grid, steps, success) for steps, success in runs])
        axes.fill_between(grid, values.min(0), values.max(0), color=colour, alpha=0.12, lw=0)
        axes.plot(grid, values.mean(0), color=colour, lw=2.2, label=label)
    axes.set(xlabel="environment steps", ylabel="success rate, autonomous", ylim=(-0.03, 1.03), title=title)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(groups), frameon=False)
    atomically(target, lambda part: figure.savefig(part, format="png", dpi=120))
    plt.close(figure)


def _evaluated(metrics: Path) -> tuple[list[int], list[float]]:
    """Environment steps and success rate of a run's evaluations, from nothing at step 0."""
    records = read_metrics(metrics, "evaluation")
    return [0, *(r["env_steps"] for r in records)], [0.0, *(r["success_rate"] for r in records)]


def _draw_success(axes: Axes, evaluations: list[dict[str, Any]], episodes: list[dict[str, Any]], axis: str) -> None:
    alone = _running_mean([e["success"] and not e["intervened_steps"] for e in episodes])
    axes.plot([e[axis] for e in episodes], alone, color=_BLUE, alpha=0.6, lw=1.2, label="training episodes, alone")
    if evaluations:
        x = [e[axis] for e in evaluations]
        low, high = np.array([e["wilson_95"] for e in evaluations]).T
        axes.fill_between(x, low, high, color=_GREEN, alpha=0.2, lw=0, label="95 % interval")
        axes.plot(x, [e["success_rate"] for e in evaluations], "o-", color=_GREEN, ms=4, label="evaluation")
    axes.set_ylim(-0.03, 1.03)


def _draw_effort(axes: Axes, episodes: list[dict[str, Any]], axis: str) -> None:
    x = [e[axis] for e in episodes]
    human = _running_mean([e["intervened_steps"] for e in episodes])
    steps = _running_mean([e["steps"] for e in episodes])
    axes.plot(x, human / np.maximum(steps, 1e-9), color=_RED, lw=1.5, label="intervention rate")
    agreement = [e.get("agreement", 1.0) for e in episodes]
    if min(agreement) < 1:
        axes.plot(x, agreement, color=_GREEN, lw=1.2, label="reward is true")
    axes.plot(x, _running_mean([e["episode_return"] for e in episodes]), color=_BLUE, lw=1.5, label="return")


def _running_mean(values: list[Any]) -> np.ndarray:
    sums = np.concatenate([[0.0], np.cumsum(np.array(values, float))])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - RECENT_EPISODES)
    return (sums[ends] - sums[starts]) / (ends - starts)


def table(groups: Mapping[str, Sequence[RunDir]]) -> str:
    """Of each group of finished runs a row, in Markdown. Raises HilserlError for a run without a result.

    The evaluations of all seeds are pooled, and the interval is Wilson's: how sure the success of these policies is,
    not how another seed would do, which the column of each seed tells. Steps and minutes are means over seeds.
    """
    return "\n".join([_HEADER, *(_row(label, runs) for label, runs in groups.items())]) + "\n"


def _row(label: str, runs: Sequence[RunDir]) -> str:
    results = [run.read_result() for run in runs]
    outcomes = [result["evaluation"] for result in results]
    successes, episodes = (sum(outcome[name] for outcome in outcomes) for name in ("successes", "episodes"))
    low, high = wilson_interval(successes, episodes)
    means = {name: np.mean([r[name] for r in results]) for name in ("env_steps", "human_steps", "wall_seconds")}
    cells = (
        label,
        ", ".join(str(result["seed"]) for result in results),
        f"{100 * successes / episodes:.1f} %",
        f"{100 * low:.1f} to {100 * high:.1f} %",
        ", ".join(str(outcome["successes"]) for outcome in outcomes) + f" of {outcomes[0]['episodes']}",
        f"{means['env_steps']:,.0f}",
        f"{means['human_steps']:,.0f}",
        f"{means['wall_seconds'] / 60:.1f}",
    )
    return f"| {' | '.join(cells)} |"
