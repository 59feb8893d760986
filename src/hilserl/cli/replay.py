"""Show recorded episodes in the console."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from hilserl.cli.parsing import parse
from hilserl.interrupt import Interrupt
from hilserl.operators.config import ConsoleConfig
from hilserl.rollout.playback import PlaybackSession


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
    session = PlaybackSession(inside if inside.is_dir() else arguments.directory, arguments.console)
    print(session.announcement, flush=True)
    interrupt = Interrupt()
    with interrupt.armed():
        while not session.done and not interrupt.requested:
            session.tick()
    session.close()
    return 0
