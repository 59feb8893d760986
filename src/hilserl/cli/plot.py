"""Plot runs in one image and print one table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.parsing import parse
from hilserl.errors import HilserlError
from hilserl.runs.run_dir import RunDir


@dataclass(frozen=True)
class PlotArguments:
    """Plot success over environment steps, one colour for each group of runs."""

    groups: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Groups of runs, each LABEL=RUN_DIR,RUN_DIR,... Groups with the same label are one."""
    out: Path = Path("comparison.png")
    """Image file to write."""
    title: str = ""
    """Title of the plot."""


def run(words: Sequence[str]) -> int:
    """Plot groups of runs."""
    arguments = parse("plot", PlotArguments, words)
    groups: dict[str, list[RunDir]] = {}
    for label, runs in map(_group, arguments.groups):
        groups.setdefault(label, []).extend(runs)
    if twice := [run for runs in groups.values() for run in _repeated(runs)]:
        raise HilserlError(f"The run {twice[0].path} is named twice in one group; name it once.")
    if not groups:
        raise HilserlError("There is nothing to plot: name groups of runs, each as LABEL=RUN_DIR,RUN_DIR.")
    from hilserl.runs.plots import plot_groups, table

    plot_groups(groups, arguments.out, arguments.title)
    print("| | seed | env steps | human steps | minutes | evaluation |\n| --- | --- | --- | --- | --- | --- |")
    for label, runs in groups.items():
        for run in runs:
            print(_row(label, run))
    print(f"\n{table(groups)}\nImage: {arguments.out}")
    return 0


def _group(text: str) -> tuple[str, list[RunDir]]:
    label, separator, paths = text.partition("=")
    if not separator or not label or not paths:
        raise HilserlError(f"Invalid group of runs {text!r}: expected LABEL=RUN_DIR,RUN_DIR.")
    runs = [RunDir(Path(path)) for path in paths.split(",")]
    for run in runs:
        run.require()
    return label, runs


def _repeated(runs: Sequence[RunDir]) -> list[RunDir]:
    """Return the runs whose directory stands earlier in the list."""
    places = [run.path.resolve() for run in runs]
    return [run for index, run in enumerate(runs) if places[index] in places[:index]]


def _row(label: str, run: RunDir) -> str:
    result = run.read_result()
    outcome = result["evaluation"]
    cells = (
        label,
        result["seed"],
        f"{result['env_steps']:,}",
        f"{result['human_steps']:,}",
        f"{result['wall_seconds'] / 60:.1f}",
        f"{outcome['successes']} of {outcome['episodes']}",
    )
    return f"| {' | '.join(map(str, cells))} |"
