"""How a process ends: Ctrl-C and SIGTERM as a request, and leaving though somebody does not hang up."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

HANGING_UP = "hanging up"
"""Name of a thread that waits for callers, for whom a process that has done its work does not stay."""


@dataclass
class Interrupt:
    """The first signal asks for a clean end, the second ends at once."""

    requested: bool = False

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        def handle(number: int, frame: object) -> None:
            del number, frame
            if self.requested:
                raise KeyboardInterrupt
            self.requested = True

        self.requested |= _heard.requested
        try:
            before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread, where nobody can send a signal
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


_heard = Interrupt()


def listen() -> None:
    """Remembers a Ctrl-C that nobody is armed for yet, beside raising KeyboardInterrupt as Python does.

    Raised in a library's callback it is dropped there, as in JAX's at garbage collection, and importing has many.
    """

    def handle(number: int, frame: object) -> NoReturn:
        del number, frame
        _heard.requested = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)


def leave(status: int) -> NoReturn:
    """Ends the process; everything of worth is on disk by then."""
    if any(thread.name == HANGING_UP for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
