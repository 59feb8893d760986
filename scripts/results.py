"""Generate the figures of docs/results.md, benchmark.md, robots.md and README.md from docs/results/*.json.

    python -m scripts.results                                   write the page, the tables, and the figure
    python -m scripts.results collect runs/a runs/b --out docs/results/pick_cube_pixels.json

The second form collects finished runs of this machine and this checkout, with their origin. `hilserl bench --record`
writes such files, too.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import jinja2
from PIL import Image

from hilserl.comparison.curves import plot_benchmark
from hilserl.comparison.figures import table
from hilserl.data.episode_summary import wilson_interval
from hilserl.files import atomically
from hilserl.runs.effort import robot_minutes
from hilserl.runs.provenance import provenance
from scripts.badges import write_badges
from scripts.results_figure import draw

REPOSITORY = Path(__file__).resolve().parents[1]
FIGURES, PAGE, README = REPOSITORY / "docs" / "results", REPOSITORY / "docs" / "results.md", REPOSITORY / "README.md"
ROBOTS_PAGE, BENCHMARK_PAGE = REPOSITORY / "docs" / "robots.md", REPOSITORY / "docs" / "benchmark.md"
FIGURE = REPOSITORY / "docs" / "images" / "robot_minutes.png"
BENCHMARK_FIGURE = REPOSITORY / "docs" / "images" / "benchmark.png"
TEMPLATE = Path(__file__).parent / "results.md.jinja"
STEP_S = 0.1
_GENERATED = "<!-- `make results` generates this page from docs/results/*.json and scripts/results.md.jinja. -->"
_TABLE = re.compile(r"(<!-- results: `make results` writes this table -->\n).*?(<!-- end of the table -->)", re.DOTALL)
_KEPT = ("task", "obs", "algorithm", "seed", "ended", "env_steps", "updates", "human_steps", "human_seconds")
"""Keys of a run's `result.json` that its record keeps as they are."""

Results = Mapping[str, Any]
"""Contents of the files by their names without ending."""


def read_results(directory: Path = FIGURES) -> Results:
    """Read all files of figures."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(directory.glob("*.json"))}


def interval(successes: int, episodes: int) -> str:
    """Return the 95 % Wilson interval of a rate as text."""
    low, high = wilson_interval(successes, episodes)
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def number(value: float | None) -> str:
    """Return a number with commas between thousands; empty without one."""
    return "" if value is None else f"{value:,}"


def costs(results: Results) -> list[dict[str, Any]]:
    """Return each run from images with robot-minutes and human seconds.

    Human seconds are those of demonstrations and interventions.
    """
    demonstrated = {
        (run["task"], run["seed"]): run["demonstration_seconds"] for run in results["demonstrations"]["runs"]
    }
    return [
        {
            **run,
            "robot_minutes": robot_minutes(run["env_steps"]),
            "human_seconds": STEP_S * run["human_steps"] + demonstrated[run["task"], run["seed"]],
        }
        for name in ("pick_cube_pixels", "paper_tasks")
        for run in results[name]["runs"]
    ]


def summary(results: Results) -> str:
    """Return the table of all tasks, with the range over their runs."""
    runs = costs(results)
    lines = [
        "| task | env steps | robot-minutes | human seconds | successes of 100 |",
        "| --- | --- | --- | --- | --- |",
    ]
    for task in dict.fromkeys(run["task"] for run in runs):
        own = [run for run in runs if run["task"] == task]
        steps, minutes, seconds = (
            _span([run[key] for run in own], digits)
            for key, digits in (("env_steps", 0), ("robot_minutes", 1), ("human_seconds", 0))
        )
        lines.append(f"| `{task}` | {steps} | {minutes} | {seconds} | {each(own, 'successes')} |")
    return "\n".join(lines)


def _span(values: Sequence[float], digits: int) -> str:
    """Return the smallest and the largest value."""
    low, high = (f"{value:,.{digits}f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def each(runs: Iterable[Mapping[str, Any]], key: str) -> str:
    """Return a value of each run, in the order of the seeds."""
    return ", ".join(number(run[key]) for run in sorted(runs, key=lambda run: run["seed"]))


def render(results: Results) -> str:
    """Return docs/results.md."""

    def real(task: str) -> Mapping[str, Any]:
        return next(row for row in results["published"]["systems"] if row.get("task") == task)

    def demonstrations(task: str) -> str:
        seconds = [run["demonstration_seconds"] for run in results["demonstrations"]["runs"] if run["task"] == task]
        return f"{_span(seconds, 0)} s"

    environment = jinja2.Environment(undefined=Empty, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Markdown
    return environment.from_string(TEMPLATE.read_text()).render(
        results,
        generated=_GENERATED,
        n=lambda value: "" if isinstance(value, jinja2.Undefined) else number(value),
        of=lambda run: f"{run['successes']} of {run['episodes']}",
        each=each,
        interval=interval,
        percent=lambda successes: f"{mean(successes):.1f} %".replace("100.0 %", "100 %"),
        real=real,
        demonstrations=demonstrations,
        source=lambda name: f"[{name}.json](results/{name}.json)" if name in results else _absent(name),
        summary=summary(results),
    )


class Empty(jinja2.Undefined):
    """Absent value of a run, an empty cell.

    An absent file is an error.
    """

    def __str__(self) -> str:
        """Return an empty text for a key that a record lacks."""
        if self._undefined_obj is jinja2.utils.missing:
            self._fail_with_undefined_error()
        return ""


def _absent(name: str) -> str:
    raise KeyError(f"docs/results/{name}.json does not exist")


def robots_table(results: Results) -> str:
    """Return the table of robots, a row for each run."""
    lines = [
        "| robot | env steps | robot-minutes | human seconds | minutes | successes of 100 |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for run in results["robots"]["runs"]:
        minutes = f"{robot_minutes(run['env_steps']):.1f}"
        cells = (number(run["env_steps"]), minutes, f"{_human_seconds(run):.0f}", run["minutes"], run["successes"])
        lines.append(f"| `{run['robot']}` | " + " | ".join(str(cell) for cell in cells) + " |")
    return "\n".join(lines)


def _human_seconds(run: Mapping[str, Any]) -> float:
    """Return the seconds of demonstrations and interventions together."""
    both = run.get("human_seconds_in_all")
    return run["human_seconds"] + run["demonstration_seconds"] if both is None else both


def benchmark_table(results: Results) -> str:
    """Return the benchmark's table, with its command and origin."""
    record = results["benchmark"]
    origin = record["provenance"]
    source = f"{origin['machine']}, {origin['date']}, commit {origin['commit']}"
    return f"{table(record['runs'])}\n`{record['command']}` ({source}; [benchmark.json](results/benchmark.json))"


def with_table(page: Path, table: str) -> str:
    """Return a page with this table between its two comments."""
    replaced, count = _TABLE.subn(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", page.read_text())
    if count != 1:
        raise ValueError(f"{page.name} has no place for its table")
    return replaced


def digest(results: Results) -> str:
    """Return a checksum of the figures that the image of robot-minutes shows."""
    return _checksum([costs(results), results["published"]])


def benchmark_digest(results: Results) -> str:
    """Return a checksum of the figures that the benchmark's image shows."""
    return _checksum(results["benchmark"]["runs"])


def _checksum(shown: Any) -> str:
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def digest_of(image: Path) -> str:
    """Return the checksum that an image was drawn from."""
    with Image.open(image) as opened:
        return opened.info["Description"]


def collect(run_dirs: Sequence[Path], command: str) -> dict[str, Any]:
    """Return a record of finished runs, with the origin of their figures."""
    runs = []
    for path in run_dirs:
        result = json.loads((path / "result.json").read_text())
        config = json.loads((path / "config.json").read_text())
        evaluation = result["evaluation"]
        runs.append(
            {
                **{key: result[key] for key in _KEPT},
                "robot": Path(config["env"]["arm"]).stem,
                "minutes": round(result["wall_seconds"] / 60, 1),
                "demonstration_seconds": result["demonstration_seconds"],
                "interventions": result["interventions"],
                "successes": evaluation["successes"],
                "episodes": evaluation["episodes"],
                "mean_episode_seconds": round(evaluation["mean_episode_seconds"], 1),
            }
        )
    return {"command": command, "provenance": asdict(provenance()), "runs": runs}


def write_all(results: Results) -> None:
    """Write page, tables of other pages, image and badges."""
    write_badges()
    texts = {
        PAGE: render(results),
        README: with_table(README, summary(results)),
        ROBOTS_PAGE: with_table(ROBOTS_PAGE, robots_table(results)),
        BENCHMARK_PAGE: with_table(BENCHMARK_PAGE, benchmark_table(results)),
    }
    for path, text in texts.items():
        atomically(path, lambda part, text=text: part.write_text(text))
    if not FIGURE.exists() or digest_of(FIGURE) != digest(results):
        draw(costs(results), results["published"]["systems"], FIGURE, digest(results))
    if not BENCHMARK_FIGURE.exists() or digest_of(BENCHMARK_FIGURE) != benchmark_digest(results):
        plot_benchmark(results["benchmark"]["runs"], BENCHMARK_FIGURE, benchmark_digest(results))


def main(words: Sequence[str] | None = None) -> int:
    """Write what is generated, or collect runs; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb")
    collector = verbs.add_parser("collect", help="collect finished runs")
    collector.add_argument("run_dirs", nargs="+", type=Path)
    collector.add_argument("--out", type=Path, required=True)
    collector.add_argument("--command", default="hilserl train TASK --seed S", help="the command that made them")
    arguments = parser.parse_args(words)
    if arguments.verb == "collect":
        record = collect(arguments.run_dirs, arguments.command)
        atomically(arguments.out, lambda part: part.write_text(json.dumps(record, indent=1) + "\n"))
    else:
        write_all(read_results())
    return 0


if __name__ == "__main__":
    sys.exit(main())
