"""Graceful shutdown on SIGINT and SIGTERM.

The first signal sets a flag, and exit does not wait for open connections.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

CONNECTION_CLOSER = "connection closer"
"""Name of threads that close connections; `leave` does not wait for them."""


@dataclass
class Interrupt:
    """Request to stop: the first signal sets it, the second raises KeyboardInterrupt."""

    requested: bool = False
    """True after the first signal."""

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM within the context."""

        def handle(number: int, frame: object) -> None:
            del number, frame
            if self.requested:
                raise KeyboardInterrupt
            self.requested = True

        self.requested |= _early.requested
        try:
            before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # only the main thread can handle signals
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


_early = Interrupt()


def listen() -> None:
    """Remember a Ctrl-C that comes before the first `Interrupt.armed`.

    It raises KeyboardInterrupt as well, as Python does. A library's callback drops that exception, as JAX's does at
    garbage collection, and imports have many callbacks.
    """

    def handle(number: int, frame: object) -> NoReturn:
        del number, frame
        _early.requested = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)


def leave(status: int) -> NoReturn:
    """End the process without waiting for open connections.

    All results are on disk by then.
    """
    if any(thread.name == CONNECTION_CLOSER for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
