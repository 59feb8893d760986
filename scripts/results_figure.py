"""Image of the results: robot-minutes and human seconds of each task."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from hilserl.files import atomically

_OURS, _PUBLISHED = "#c2571a", "#8a8a8a"
_SIZE_IN, _DPI = (9.0, 3.9), 130


def draw(runs: Sequence[Mapping[str, Any]], systems: Sequence[Mapping[str, Any]], target: Path, digest: str) -> None:
    """Draw runs in simulation beside the published systems.

    Args:
        runs: Runs with `task`, `robot_minutes` and `human_seconds`.
        systems: Published systems with their minutes, and the task that they share with ours.
        target: The PNG image.
        digest: Checksum of the figures, kept in the image.
    """
    tasks = list(dict.fromkeys(run["task"] for run in runs))
    others = [row for row in systems if "task" not in row]
    labels = [*tasks, *(f"{row['system']}: {_short(row['real_task'])}" for row in others)]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=_SIZE_IN, gridspec_kw={"width_ratios": (3, 2)}, layout="constrained"
    )
    _dots(left, tasks, runs, "robot_minutes")
    _dots(right, tasks, runs, "human_seconds")
    _published(left, tasks, systems, others)
    left.set(xscale="log", xlim=(1, 400), xlabel="robot-minutes to the end of the run")
    left.set_xticks([1, 3, 10, 30, 100, 300], ["1", "3", "10", "30", "100", "300"])
    left.set_yticks(range(len(labels)), labels)
    right.set(xlim=(0, 360), xlabel="human seconds with demonstrations", ylim=left.get_ylim())
    right.set_yticks(range(len(tasks)), [""] * len(tasks))
    right.text(180, len(tasks) + 0.6, "published systems:\nnot compared", color=_PUBLISHED, ha="center", va="center")
    for axes in (left, right):
        axes.set_ylim(len(labels) - 0.4, -0.6)
        axes.grid(axis="x", color="#e4e4e4")
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
    atomically(target, lambda part: figure.savefig(part, format="png", dpi=_DPI, metadata={"Description": digest}))
    plt.close(figure)


def _short(task: str) -> str:
    return "3 tasks" if task.count(",") == 2 else task


def _dots(axes: Axes, tasks: Sequence[str], runs: Sequence[Mapping[str, Any]], key: str) -> None:
    """Draw one dot a run, and the word beside the first task's."""
    for row, task in enumerate(tasks):
        values = [run[key] for run in runs if run["task"] == task]
        axes.plot(values, [row] * len(values), "o", color=_OURS, markersize=7, alpha=0.8, markeredgewidth=0)
        axes.annotate(
            "simulation", (max(values), row), (8, 0), textcoords="offset points", color=_OURS, va="center", fontsize=8
        )


def _published(
    axes: Axes, tasks: Sequence[str], systems: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]
) -> None:
    """Draw the published systems as grey marks, marked "real robot"."""
    for system in systems:
        row = tasks.index(system["task"]) if "task" in system else len(tasks) + others.index(system)
        low = system.get("minutes", system.get("minutes_low"))
        high = system.get("minutes", system.get("minutes_high"))
        axes.plot([low, high], [row, row], "-", color=_PUBLISHED, linewidth=2)
        axes.plot([low, high], [row, row], "D", color=_PUBLISHED, markersize=6)
        name = f"{system['system']}, real robot" if "task" in system else "real robot"
        axes.annotate(name, (high, row), (8, 0), textcoords="offset points", color=_PUBLISHED, va="center", fontsize=8)
