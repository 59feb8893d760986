"""Act for a learner on the network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.arguments import parse_for_task
from hilserl.cli.learner import DEFAULT_ADDRESS
from hilserl.errors import HilserlError
from hilserl.training.config import TrainConfig


@dataclass(frozen=True)
class ActorArguments:
    """Act for a learner on the network.

    The learner's run has all settings; a flag changes one of them for this actor.
    """

    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    learner: str = DEFAULT_ADDRESS
    """Address of the learner, HOST:PORT."""
    credentials: Path | None = None
    """Directory with the learner's certificate and token. The variable HILSERL_TOKEN overrides the token."""
    run_dir: Path | None = None
    """Directory of steps that are not sent yet; by default runs/TASK-actor."""
    resume: bool = False
    """Resume as the actor of the run directory. Its unsent steps are sent."""
    give_up_after_s: float | None = None
    """Silence of the learner after which the actor ends. By default it waits without a limit."""
    parent: int | None = None
    """Process id; the actor ends when this process ends."""


def run(words: Sequence[str]) -> int:
    """Act until the learner's run ends."""
    arguments = parse_for_task("actor", words, ActorArguments)
    task = arguments.config.task
    run_dir = arguments.run_dir or Path("runs") / f"{task}-actor"
    if run_dir.exists() and any(run_dir.iterdir()) and not arguments.resume:
        raise HilserlError(
            f"The directory {run_dir} belongs to an earlier actor. Resume that actor with --resume, "
            "or name another directory with --run-dir."
        )
    from hilserl.address import Address
    from hilserl.distributed.actor_node import ActorNodeConfig, act, fetch_run_config
    from hilserl.distributed.credentials import load_credentials
    from hilserl.distributed.protocol import ProtocolError

    node_config = ActorNodeConfig(
        Address.parse(arguments.learner),
        load_credentials(arguments.credentials),
        run_dir,
        arguments.give_up_after_s,
        arguments.parent,
    )
    config = fetch_run_config(node_config)
    if config.task != task:
        raise ProtocolError(f"The learner at {node_config.learner} trains {config.task!r}, not {task!r}.")
    # The learner's settings are the defaults, so that a flag that is not given means "as the learner has it".
    arguments = parse_for_task("actor", words, ActorArguments, config)
    reason = act(arguments.config, node_config)
    print(f"Ended: {reason}.")
    return 130 if reason == "interrupted" else 0
