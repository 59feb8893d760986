"""hilserl train TASK: from demonstrations and interventions to a policy, with evaluation, curve and film."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from hilserl.cli.arguments import parse_run, print_outputs, run_dir_of
from hilserl.errors import HilserlError
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import TrainConfig


@dataclass(frozen=True)
class TrainArguments:
    """Train a policy with demonstrations, interventions and its own experience.

    The run directory receives checkpoints, metrics, a learning curve, a video of the final policy and `result.json`.
    Ctrl-C ends the run cleanly; the same command with --resume goes on from there.
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    run_dir: Path | None = None
    """Where the run is kept; by default runs/TASK-OBS-seedN."""
    actors: int = 0
    """So many actors and a learner, on a Ray cluster, instead of one of each in this process."""
    ray: str | None = None
    """The cluster's address, or `auto`; by default one is started on this machine."""
    resume: bool = False
    """Go on with the run that is in the run directory, with its settings; only limits may change."""


def run(words: Sequence[str]) -> int:
    arguments = parse_run("train", words, TrainArguments)
    if arguments.actors < 0 or (arguments.ray is not None and not arguments.actors):
        raise HilserlError(f"--actors must be at least 1 on a Ray cluster, got {arguments.actors}.")
    return carry_out(arguments)


def carry_out(arguments: TrainArguments) -> int:
    """Trains, and says where what came of it is; returns the exit status."""
    task, folder = arguments.config.task, run_dir_of(arguments.run_dir, arguments.config)
    result = _train(arguments, folder)
    if result is None:
        if arguments.actors or arguments.config.free_running:
            actors = f" --actors {arguments.actors}" if arguments.actors else ""
            print(f"Go on with: hilserl train {task}{actors} --resume --run-dir {folder.path}")
        return 130
    print_outputs(folder)
    return 0


def _train(arguments: TrainArguments, folder: RunDir) -> dict[str, Any] | None:
    config, resume = arguments.config, arguments.resume
    if arguments.actors > 1 and config.env.backend == "robot":
        raise HilserlError(f"One arm has room for one actor: --env robot needs --actors 1, got {arguments.actors}.")
    if arguments.actors:
        from hilserl.distributed.ray_cluster import connected, train_on_ray

        with connected(arguments.ray) as cluster:
            return train_on_ray(cluster, config, folder, arguments.actors, resume=resume)
    if config.free_running:
        from hilserl.distributed.actor_process import train_async

        return train_async(config, folder, resume=resume)
    from hilserl.training.trainer import train

    return train(config, folder, resume=resume)
