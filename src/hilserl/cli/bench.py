"""Print the figures of the README, measured on this machine."""

import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.parsing import parse
from hilserl.errors import unknown
from hilserl.files import atomically
from hilserl.runs.provenance import write_record

BENCHMARKS = ("sim", "agent", "encoder", "vision", "console", "transport", "robot")


@dataclass(frozen=True)
class BenchArguments:
    """Measure the speed of this machine.

    All figures of one call are measured in one run, side by side.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Any of sim, agent, encoder, vision, console, transport and robot. All of them by default."""
    gym_hil_python: Path = Path(".venv-gym-hil/bin/python")
    """The interpreter of a virtual environment with gym-hil (`make gym-hil` makes it). Skipped if absent."""
    json: Path | None = None
    """Write the figures to this file, as one flat JSON object."""
    record: Path | None = None
    """Write the figures to this JSON file with their origin.

    It names machine, commit, versions and date; `make results` reads such files.
    """


def run(words: Sequence[str]) -> int:
    """Run the benchmarks that are named on the command line."""
    arguments = parse("bench", BenchArguments, words)
    for name in arguments.names:
        if name not in BENCHMARKS:
            raise unknown("benchmark", name, BENCHMARKS)
    figures: dict[str, float] = {}
    for name in arguments.names or BENCHMARKS:
        measured = _measure(name, arguments)
        for key, value in measured.items():
            print(f"{key:<34} {value:>10.1f}", flush=True)
        figures |= measured
    if arguments.json:
        atomically(arguments.json, lambda part: part.write_text(json.dumps(figures, indent=2) + "\n"))
    if arguments.record:
        command = " ".join(["hilserl bench", *arguments.names])
        write_record(arguments.record, command, {"figures": figures})
    return 0


def _measure(name: str, arguments: BenchArguments) -> dict[str, float]:
    # Each benchmark is imported alone, since its libraries take seconds to import.
    figures = importlib.import_module(f"hilserl.benchmarks.{name}").figures
    return figures(arguments.gym_hil_python) if name == "sim" else figures()
