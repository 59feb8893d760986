"""hilserl record TASK: demonstrations, one Parquet file an episode."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro
from tqdm import tqdm

from hilserl import tasks
from hilserl.cli.arguments import split_task
from hilserl.errors import HilserlError
from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.training.record import record_demonstrations


@dataclass(frozen=True)
class Arguments:
    """Record successful episodes."""

    out: Path
    """The directory to write to; it must not hold anything yet."""
    successes: int = 20
    """How many successful episodes to keep; failures are not kept."""
    operator: Literal["scripted"] = "scripted"
    """Who drives."""
    seed: int = 0
    obs: Literal["state", "pixels"] = "pixels"
    person: SimulatedOperatorConfig = field(default_factory=SimulatedOperatorConfig)


def run(words: Sequence[str]) -> int:
    task, rest = split_task("record", words)
    arguments = tyro.cli(Arguments, args=rest, prog=f"hilserl record {task}")
    if arguments.successes < 1:
        raise HilserlError(f"--successes must be at least 1, got {arguments.successes}.")
    if arguments.out.exists() and any(arguments.out.iterdir()):
        raise HilserlError(f"The directory {arguments.out} is not empty; record into another one.")
    env = tasks.make_env(task, obs=arguments.obs)
    with tqdm(total=arguments.successes, desc="record", unit="success") as bar:
        steps = record_demonstrations(
            env,
            env.experience,
            arguments.out,
            arguments.successes,
            arguments.seed,
            arguments.person,
            lambda _: bar.update(),
        )
    env.close()
    seconds = steps * env.experience.control_dt_s
    print(f"{arguments.successes} demonstrations, {steps} steps, {seconds:.0f} s of driving: {arguments.out}")
    return 0
