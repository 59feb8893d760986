"""Arguments of commands that train: defaults by task, run directories, resumed runs."""

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from hilserl import tasks
from hilserl.cli.parsing import parse, require_task
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from hilserl.files import LOCK, locked, tidy
from hilserl.runs.run_dir import RunDir
from hilserl.training.algorithms import algorithm_label
from hilserl.training.config import TrainConfig, preset
from hilserl.training.config_file import load_config

_T = TypeVar("_T")


def parse_for_task(
    verb: str, words: Sequence[str], form: Callable[[TrainConfig], _T], config: TrainConfig | None = None
) -> _T:
    """Parse the arguments of a command that trains.

    Args:
        verb: The command.
        words: Its command line.
        form: A function that makes the arguments' defaults from a training configuration.
        config: The configuration whose settings are the defaults; by default the preset of the task.
    """
    words = require_task(verb, words)
    if not words or words[0].startswith("-"):  # help for any task
        alternatives = [form(preset(task)) for task in tasks.names()]
        return parse(verb, type(alternatives[0]), words, alternatives[0], alternatives)
    default = form(config or preset(words[0]))
    return parse(verb, type(default), words, default)


class _Trains(Protocol):
    """The arguments of a command that trains."""

    @property
    def config(self) -> TrainConfig:
        """Settings of the run."""
        ...

    @property
    def run_dir(self) -> Path | None:
        """Run directory; None is the default one."""
        ...

    @property
    def resume(self) -> bool:
        """True if the run in the run directory is resumed."""
        ...


_Training = TypeVar("_Training", bound=_Trains)


def parse_run(verb: str, words: Sequence[str], form: Callable[[TrainConfig], _Training]) -> _Training:
    """Parse the arguments of a command that keeps a run.

    A run that is resumed has its own settings as defaults, so that a flag that is not given means "as before".
    """
    arguments = parse_for_task(verb, words, form)
    if not arguments.resume:
        return arguments
    run_dir = run_dir_of(arguments.run_dir, arguments.config)
    run_dir.require()
    return parse_for_task(verb, words, form, load_config(run_dir.config))


def run_dir_of(given: Path | None, config: TrainConfig) -> RunDir:
    """Return the run directory that is given, or the default one.

    The default is named after task, robot, observation, seed and algorithm, the usual robot and algorithm left out.
    """
    other = "" if config.algorithm == "rlpd" else f"-{algorithm_label(config.algorithm)}"
    robot = "" if config.env.arm == EnvOptions.arm else f"-{Path(config.env.arm).stem}"
    name = re.sub(
        r"[^\w.-]+", "-", f"{Path(config.task).stem if tasks.is_task_file(config.task) else config.task}{robot}"
    )
    return RunDir(given or Path("runs") / f"{name}-{config.env.obs}-seed{config.seed}{other}")


def print_outputs(run_dir: RunDir) -> None:
    """Print the files that a finished run wrote for people."""
    for name, path in (("Curve", run_dir.curve), ("Video", run_dir.video), ("Result", run_dir.result)):
        if path.exists():
            print(f"{name}: {path}")


@contextlib.contextmanager
def output_directory(path: Path, *, resume: bool) -> Iterator[None]:
    """Make and lock a directory for the outputs of a command.

    Raises:
        HilserlError: It is a file, it cannot be written, another process uses it, or it holds something and `resume`
            is False.
    """
    if path.exists() and not path.is_dir():
        raise HilserlError(f"{path} is a file; a directory was expected.")
    if path.exists() and any(each.name != LOCK for each in path.iterdir()) and not resume:
        raise HilserlError(
            f"The directory {path} is not empty. Go on with what is recorded there with --resume, "
            "or name another directory with --out."
        )
    with locked(path):
        tidy(path)
        yield
