"""hilserl actor TASK --learner HOST:PORT: the actor's node, beside the robot or its simulation."""

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
    """HOST:PORT of the learner."""
    credentials: Path | None = None
    """A directory with the learner's certificate and token; HILSERL_TOKEN goes before the token in it."""
    run_dir: Path | None = None
    """Where steps wait until the learner has them; by default runs/TASK-actor."""
    resume: bool = False
    """Go on as the actor that used the run directory before, and send what it had not sent."""
    give_up_after_s: float | None = None
    """End after having heard nothing of the learner for so long; otherwise wait for it for ever."""
    parent: int | None = None
    """End as soon as this process, which started this one, has ended, whatever ended it."""


def run(words: Sequence[str]) -> int:
    arguments = parse_for_task("actor", words, ActorArguments)
    task = arguments.config.task
    folder = arguments.run_dir or Path("runs") / f"{task}-actor"
    if folder.exists() and any(folder.iterdir()) and not arguments.resume:
        raise HilserlError(
            f"The directory {folder} has been used by an actor. Go on as that actor with --resume, "
            "or name another directory with --run-dir."
        )
    from hilserl.address import Address
    from hilserl.distributed.actor_node import Place, act, fetch_run_config
    from hilserl.distributed.credentials import load_credentials
    from hilserl.distributed.protocol import ProtocolError

    place = Place(
        Address.parse(arguments.learner),
        load_credentials(arguments.credentials),
        folder,
        arguments.give_up_after_s,
        arguments.parent,
    )
    config = fetch_run_config(place)
    if config.task != task:
        raise ProtocolError(f"The learner at {place.learner} learns {config.task!r}, this actor is to do {task!r}.")
    # The learner's settings are the defaults now, so that flags not given mean "as the learner has it".
    arguments = parse_for_task("actor", words, ActorArguments, config)
    reason = act(arguments.config, place)
    print(f"Ended: {reason}.")
    return 130 if reason == "interrupted" else 0
