"""What the verbs' command lines share."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

import tyro

from hilserl import tasks
from hilserl.envs import make as world
from hilserl.errors import HilserlError
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import TrainConfig, preset
from hilserl.training.config_file import load_config

_T = TypeVar("_T")


def split_task(verb: str, words: Sequence[str]) -> tuple[str, list[str]]:
    """The task that a command line begins with, checked, and the rest of the line; help asks about any task.

    `--env PACKAGE:ENV_ID`, wherever it stands, is a task as well; `--env sim` and `--env robot` are not.
    """
    if words and words[0] in ("-h", "--help"):
        return tasks.names()[0], ["--help"]
    words = [part for word in words for part in (word.split("=", 1) if word.startswith("--env=") else [word])]
    for at, word in enumerate(words[1:], 1):
        if words[at - 1] == "--env" and world.is_gymnasium_id(word):
            return world.named(word), [*words[: at - 1], *words[at + 1 :]]
    if not words or words[0].startswith("-"):
        raise HilserlError(
            f"hilserl {verb} needs a task first: hilserl {verb} TASK. There is: {', '.join(tasks.names())}; "
            "and --env PACKAGE:ENV_ID for an environment of another package."
        )
    return world.named(words[0]), list(words[1:])


def parse_verb(verb: str, task: str, words: Sequence[str], default: _T) -> _T:
    """A verb's arguments from its command line, where it trains: flags that are not given mean the default's."""
    return tyro.cli(type(default), args=words, default=default, prog=f"hilserl {verb} {task}")


class _Trains(Protocol):
    """The arguments of a verb that trains."""

    @property
    def config(self) -> TrainConfig: ...
    @property
    def run_dir(self) -> Path | None: ...
    @property
    def resume(self) -> bool: ...


_Training = TypeVar("_Training", bound=_Trains)


def parse_run(verb: str, task: str, words: Sequence[str], form: Callable[[TrainConfig], _Training]) -> _Training:
    """The same of a verb that keeps a run; of a run that goes on, flags that are not given mean "as it was"."""
    arguments = parse_verb(verb, task, words, form(preset(task)))
    if arguments.resume:
        folder = run_folder(arguments.run_dir, arguments.config)
        folder.require()
        arguments = parse_verb(verb, task, words, form(load_config(folder.config)))
    return arguments


def show_kept(run: RunDir) -> None:
    """Says where to find what a finished run came to."""
    for name, path in (("Curve", run.curve), ("Film", run.video), ("Result", run.result)):
        if path.exists():
            print(f"{name}: {path}")


def run_folder(given: Path | None, config: TrainConfig) -> RunDir:
    """Where a run is kept, unless told otherwise: by task, observation, seed and, but for rlpd, algorithm."""
    other = "" if config.algorithm == "rlpd" else f"-{config.algorithm}"
    name = re.sub(r"[^\w.-]+", "-", config.task)
    return RunDir(given or Path("runs") / f"{name}-{config.obs}-seed{config.seed}{other}")


def check_folder(folder: Path, *, resume: bool) -> None:
    """Raises HilserlError where something is recorded already and is not to be gone on with."""
    if folder.exists() and not folder.is_dir():
        raise HilserlError(f"{folder} is a file; a directory was expected.")
    if folder.exists() and any(folder.iterdir()) and not resume:
        raise HilserlError(
            f"The directory {folder} is not empty. Go on with what is recorded there with --resume, "
            "or name another directory with --out."
        )
