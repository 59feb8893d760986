"""Train a policy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from hilserl.cli.arguments import parse_run, print_outputs, run_dir_of
from hilserl.errors import HilserlError
from hilserl.runs.run_dir import RunDir
from hilserl.settings import Count
from hilserl.training.config import TrainConfig
from hilserl.training.lifecycle import resume_command


@dataclass(frozen=True)
class TrainArguments:
    """Train a policy with demonstrations, interventions and its own experience.

    The run directory receives checkpoints, metrics, a learning curve, a video of the final policy and `result.json`.
    Ctrl-C ends the run cleanly; the same command with --resume goes on from there.
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    run_dir: Path | None = None
    """Run directory; by default runs/TASK-OBS-seedN."""
    actors: Count = 0
    """Actors on a Ray cluster, with one learner. 0 trains in this process."""
    ray: str | None = None
    """Address of the Ray cluster, or auto. By default a cluster of this machine is started."""
    resume: bool = False
    """Resume the run in the run directory, with its settings. Only limits may change."""


def run(words: Sequence[str]) -> int:
    """Train a policy, or resume a run."""
    arguments = parse_run("train", words, TrainArguments)
    if arguments.ray is not None and not arguments.actors:
        raise HilserlError(f"Invalid --actors {arguments.actors}: expected at least 1 on a Ray cluster.")
    return carry_out(arguments)


def carry_out(arguments: TrainArguments) -> int:
    """Train, then print the paths of the outputs; return the exit status."""
    task, run_dir = arguments.config.task, run_dir_of(arguments.run_dir, arguments.config)
    result = _train(arguments, run_dir)
    if result is None:
        if arguments.actors or arguments.config.free_running:
            actors = f" --actors {arguments.actors}" if arguments.actors else ""
            print(f"Resume with: {resume_command('train', task, run_dir.path, actors)}")
        return 130
    print_outputs(run_dir)
    return 0


def _train(arguments: TrainArguments, run_dir: RunDir) -> dict[str, Any] | None:
    config, resume = arguments.config, arguments.resume
    if arguments.actors > 1 and config.env.backend == "robot":
        raise HilserlError(f"Invalid --actors {arguments.actors}: --env robot has one arm, which takes one actor.")
    if arguments.actors:
        from hilserl.distributed.ray_cluster import connected, train_on_ray

        with connected(arguments.ray) as cluster:
            return train_on_ray(cluster, config, run_dir, arguments.actors, resume=resume)
    from hilserl.cli.progress import ProgressBars

    if config.free_running:
        from hilserl.distributed.actor_process import train_async

        return train_async(config, run_dir, resume=resume, progress=ProgressBars(config))
    from hilserl.training.trainer import train

    return train(config, run_dir, resume=resume, progress=ProgressBars(config))
