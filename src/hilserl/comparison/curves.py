"""Plot of a benchmark: success over human seconds."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from hilserl.files import atomically

_SIZE_IN, _DPI, _COLUMNS = (4.6, 3.4), 120, 3


def plot_benchmark(runs: Sequence[Mapping[str, Any]], target: Path, digest: str = "") -> None:
    """Plot success over human seconds, one panel for each task and operator.

    Each run is a line of steps from evaluation to evaluation, and a dot at its final evaluation.

    Args:
        runs: Figures of the runs, as `figures_of` returns them.
        target: The PNG image.
        digest: Checksum of the figures, kept in the image.
    """
    panels = list(dict.fromkeys((run["task"], run["obs"], run["people"]) for run in runs))
    methods = list(dict.fromkeys(run["method"] for run in runs))
    colours = dict(zip(methods, cycle(plt.rcParams["axes.prop_cycle"].by_key()["color"]), strict=False))
    columns = min(len(panels), _COLUMNS)
    rows = -(-len(panels) // columns)
    size = (max(_SIZE_IN[0] * columns, 7.0), _SIZE_IN[1] * rows + 0.6)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained", sharey=True)
    for each in axes.flat[len(panels) :]:
        each.set_visible(False)
    for each, panel in zip(axes.flat, panels, strict=False):
        own = [run for run in runs if (run["task"], run["obs"], run["people"]) == panel]
        _draw_panel(each, own, colours)
        each.set_title("{} from {}, {}".format(*panel), fontsize=10)
    for row in axes:
        row[0].set_ylabel("success rate, autonomous")
    handles = [Line2D([], [], color=colour, marker="o", label=method) for method, colour in colours.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(6, len(methods)), frameon=False)
    metadata = {"Description": digest} if digest else None
    atomically(target, lambda part: figure.savefig(part, format="png", dpi=_DPI, metadata=metadata))
    plt.close(figure)


def _draw_panel(axes: Axes, runs: Sequence[Mapping[str, Any]], colours: Mapping[str, str]) -> None:
    for run in runs:
        colour = colours[run["method"]]
        seconds, success = zip(*((at, rate) for _, at, rate in run["curve"]), strict=True)
        axes.step((0, *seconds), (0, *success), where="post", color=colour, alpha=0.6, lw=1.4)
        axes.plot(seconds[-1], success[-1], "o", color=colour, ms=7, alpha=0.8, markeredgewidth=0)
    axes.set(ylim=(-0.03, 1.03), xlim=(0, None), xlabel="human seconds, demonstrations included")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
