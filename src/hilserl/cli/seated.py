"""What the verbs share in which a person sits at the console."""

import contextlib
from collections.abc import Iterator

from hilserl.interrupt import Interrupt
from hilserl.operators.console.session import ConsoleSession


@contextlib.contextmanager
def seated(station: ConsoleSession) -> Iterator[Interrupt]:
    """Says how to get to the console, and attends to it until the work is done; tells whether Ctrl-C was pressed."""
    print(station.announcement, flush=True)
    interrupt = Interrupt()
    with interrupt.armed(), station.active(interrupt):
        yield interrupt
