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
            print(_row(label, run) if run.has_ended else _row_in_progress(label, run))
    ended = {label: [run for run in runs if run.has_ended] for label, runs in groups.items()}
    if ended := {label: runs for label, runs in ended.items() if runs}:
        print(f"\n{table(ended)}")
    if count := sum(not run.has_ended for runs in groups.values() for run in runs):
        print(f"\nIn progress, drawn up to the last evaluation: {count} of {sum(map(len, groups.values()))} runs.")
    print(f"Image: {arguments.out}")
    return 0


def _group(text: str) -> tuple[str, list[RunDir]]:
    label, separator, paths = text.partition("=")
    if not separator or not label or not paths:
        raise HilserlError(f"Invalid group of runs {text!r}: expected LABEL=RUN_DIR,RUN_DIR.")
    runs = [RunDir(Path(path)) for path in paths.split(",")]
    for run in runs:
        run.require()
        if not run.metrics.exists():
            raise HilserlError(f"The run in {run.path} has nothing to plot yet: it has no metrics.jsonl.")
    return label, runs


def _repeated(runs: Sequence[RunDir]) -> list[RunDir]:
    """Return the runs whose directory stands earlier in the list."""
    places = [run.path.resolve() for run in runs]
    return [run for index, run in enumerate(runs) if places[index] in places[:index]]


def _row_in_progress(label: str, run: RunDir) -> str:
    """Return the row of a run that has no result yet."""
    from hilserl.runs.metrics import read_metrics
    from hilserl.training.config_file import load_config

    episodes, evaluations = read_metrics(run.metrics, "episode"), read_metrics(run.metrics, "evaluation")
    now = max((*episodes, *evaluations), key=lambda record: record["env_steps"], default={"env_steps": 0})
    human_steps = episodes[-1]["human_steps"] if episodes else 0
    evaluated = "none yet"
    if evaluations:
        last = evaluations[-1]
        evaluated = f"{last['successes']} of {last['episodes']} at {last['env_steps']:,}"
    cells = (
        label,
        load_config(run.config).seed,
        f"{now['env_steps']:,}",
        f"{human_steps:,}",
        f"{now.get('wall_seconds', 0.0) / 60:.1f}",
        f"in progress: {evaluated}",
    )
    return f"| {' | '.join(map(str, cells))} |"


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
