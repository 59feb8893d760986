"""Console session of a command: announced, attended and ended by Ctrl-C."""

import contextlib
from collections.abc import Iterator

from hilserl.interrupt import Interrupt
from hilserl.operators.console.session import ConsoleSession


@contextlib.contextmanager
def attended(session: ConsoleSession) -> Iterator[Interrupt]:
    """Announce a console session and serve it until the block ends.

    Yields:
        The interrupt that Ctrl-C requests.
    """
    print(session.announcement, flush=True)
    interrupt = Interrupt()
    with interrupt.armed(), session.active(interrupt):
        yield interrupt
