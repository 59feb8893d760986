"""hilserl replay DIR: look at recorded episodes: the scene, the cameras, who acted."""

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

    folder: Annotated[Path, tyro.conf.Positional]
    """A directory of episodes, or of a run, whose episodes are then shown."""
    console: ConsoleConfig = field(default_factory=ConsoleConfig)


def run(words: Sequence[str]) -> int:
    arguments = parse("replay", ReplayArguments, words)
    inside = arguments.folder / "episodes"
    projector = Projector(inside if inside.is_dir() else arguments.folder, arguments.console)
    print(projector.announcement, flush=True)
    interrupt = Interrupt()
    with interrupt.armed():
        while not projector.done and not interrupt.requested:
            projector.tick()
    projector.close()
    return 0
