"""Show recorded episodes in the console."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.parsing import parse
from hilserl.interrupt import Interrupt
from hilserl.operators.config import ConsoleConfig
from hilserl.rollout.playback import Projector


@dataclass(frozen=True)
class ReplayArguments:
    """Show recorded episodes in the console."""

    directory: Annotated[Path, tyro.conf.Positional]
    """Directory of episodes, or a run directory."""
    console: ConsoleConfig = field(default_factory=ConsoleConfig)


def run(words: Sequence[str]) -> int:
    """Show episodes until the console is closed."""
    arguments = parse("replay", ReplayArguments, words)
    inside = arguments.directory / "episodes"
    projector = Projector(inside if inside.is_dir() else arguments.directory, arguments.console)
    print(projector.announcement, flush=True)
    interrupt = Interrupt()
    with interrupt.armed():
        while not projector.done and not interrupt.requested:
            projector.tick()
    projector.close()
    return 0
