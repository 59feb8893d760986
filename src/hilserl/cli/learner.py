"""Learn from the steps of actors on the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.arguments import parse_run, print_outputs, run_dir_of
from hilserl.training.config import TrainConfig

DEFAULT_ADDRESS = "127.0.0.1:50051"


@dataclass(frozen=True)
class LearnerArguments:
    """Learn from actors on the network."""

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    listen: str = DEFAULT_ADDRESS
    """Address to listen on, HOST:PORT; outside loopback it needs --credentials."""
    credentials: Path | None = None
    """Directory with token, certificate and key, from `hilserl credentials`."""
    run_dir: Path | None = None
    """Run directory; by default runs/TASK-OBS-seedN."""
    resume: bool = False
    """Resume the run in the run directory, with its settings. Only limits may change."""


def run(words: Sequence[str]) -> int:
    """Learn until the run ends."""
    arguments = parse_run("learner", words, LearnerArguments)
    task = arguments.config.task
    run_dir = run_dir_of(arguments.run_dir, arguments.config)
    from hilserl.address import Address
    from hilserl.cli.progress import ProgressBars
    from hilserl.distributed.credentials import load_credentials
    from hilserl.distributed.learner_node import LearnerNodeConfig, RunControl, serve

    def tell(address: Address) -> None:
        print(f"Listening on {address}. Act with: {_command(task, address, arguments)}", flush=True)

    address, credentials = Address.parse(arguments.listen), load_credentials(arguments.credentials)
    node_config = LearnerNodeConfig(address, credentials, resume=arguments.resume)
    control = RunControl(listening=tell, progress=ProgressBars(arguments.config))
    result = serve(arguments.config, run_dir, node_config, control)
    if result is None:
        return 130
    print_outputs(run_dir)
    return 0


def _command(task: str, address: object, arguments: LearnerArguments) -> str:
    shown = " --credentials DIR" if arguments.credentials else ""
    return f"hilserl actor {task} --learner {address}{shown}"
