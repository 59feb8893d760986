"""Check the files of a run, and set bad episodes aside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm

from hilserl.cli.parsing import parse
from hilserl.errors import HilserlError
from hilserl.runs.run_dir import RunDir
from hilserl.settings import Count


@dataclass(frozen=True)
class RunsArguments:
    """Check a run's files, or set an episode aside.

    `hilserl runs check RUN` reads every file and names each that is damaged. `hilserl runs quarantine RUN EPISODE`
    moves an episode to RUN/quarantine, so that nothing learns from it when the run is resumed.
    """

    action: Annotated[Literal["check", "quarantine"], tyro.conf.Positional]
    """check or quarantine."""
    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run directory."""
    episode: Annotated[Count | None, tyro.conf.Positional, tyro.conf.arg(metavar="EPISODE")] = None
    """Number of the episode to set aside."""


def run(words: Sequence[str]) -> int:
    """Check a run, or set an episode aside."""
    arguments = parse("runs", RunsArguments, words)
    run_dir = RunDir(arguments.run)
    run_dir.require()
    if arguments.action == "quarantine":
        return _quarantine(run_dir, arguments.episode)
    from hilserl.runs.health import troubles
    from hilserl.training.config_file import load_config

    found = 0
    with tqdm(desc="check", unit="file") as bar:
        try:
            load_config(run_dir.config)
        except HilserlError as error:
            found += 1
            tqdm.write(str(error))
        for trouble in troubles(run_dir, lambda path: bar.update() and bar.set_postfix_str(path.name)):
            found += 1
            tqdm.write(trouble)
    print(f"{arguments.run}: {found or 'no'} damaged files.")
    return 1 if found else 0


def _quarantine(run_dir: RunDir, episode: int | None) -> int:
    if episode is None:
        raise HilserlError(f"Name an episode: hilserl runs quarantine {run_dir.path} EPISODE")
    from hilserl.runs.health import quarantine

    print(f"Episode {episode} is set aside: {quarantine(run_dir, episode)}")
    return 0
