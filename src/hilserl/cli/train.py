"""hilserl train TASK: from demonstrations and interventions to a policy, with evaluation, curve and film."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.arguments import run_folder, split_task
from hilserl.training.config import TrainConfig, load_config, preset


@dataclass(frozen=True)
class Arguments:
    """Train a policy."""

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    run_dir: Path | None = None
    """Where the run is kept; by default runs/TASK-OBS-seedN."""
    resume: bool = False
    """Go on with the run that is in the run directory, with its settings; only limits may change."""


def run(words: Sequence[str]) -> int:
    task, rest = split_task("train", words)
    default = Arguments(preset(task))
    arguments = _parse(task, rest, default)
    if arguments.resume:
        # The run's own settings are the defaults now, so that flags not given mean "as it was".
        folder = run_folder(arguments.run_dir, arguments.config)
        folder.require()
        arguments = _parse(task, rest, Arguments(load_config(folder.config)))
    from hilserl.training.crew import train_async
    from hilserl.training.train import train

    go = train_async if arguments.config.free_running else train
    folder = run_folder(arguments.run_dir, arguments.config)
    result = go(arguments.config, folder, resume=arguments.resume)
    if result is None:
        return 130
    print(f"Curve: {folder.curve}\nFilm: {folder.video}\nResult: {folder.result}")
    return 0


def _parse(task: str, words: Sequence[str], default: Arguments) -> Arguments:
    return tyro.cli(
        Arguments,
        args=words,
        default=default,
        prog=f"hilserl train {task}",
        config=(tyro.conf.FlagCreatePairsOff,),
    )
