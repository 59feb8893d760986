"""Graceful shutdown on SIGINT, SIGTERM and SIGHUP.

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
"""Prefix of names of threads that `leave` does not wait for."""


@dataclass
class Interrupt:
    """Request to stop: the first signal sets it, the second raises KeyboardInterrupt."""

    requested: bool = False
    """True after the first signal."""

    @contextlib.contextmanager
    def armed(self) -> Iterator[None]:
        """Handle SIGINT, SIGTERM and SIGHUP within the context."""
        terminals = [number for number in (1, 2) if os.isatty(number)]

        def handle(number: int, frame: object) -> None:
            del frame
            if number == _HANG_UP:
                _silence(terminals)
            if self.requested:
                raise KeyboardInterrupt
            self.requested = True

        self.requested |= _early.requested
        try:
            before = {number: signal.signal(number, handle) for number in _handled()}
        except ValueError:  # only the main thread can handle signals
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


_early = Interrupt()
_HANG_UP: int | None = getattr(signal, "SIGHUP", None)
"""Signal of a terminal that is gone; Windows has none."""


def _handled() -> list[int]:
    # Under nohup the hang-up is ignored, and stays so.
    more = [] if _HANG_UP is None or signal.getsignal(_HANG_UP) is signal.SIG_IGN else [_HANG_UP]
    return [signal.SIGINT, signal.SIGTERM, *more]


def _silence(terminals: list[int]) -> None:
    """Print nothing more: writing to a lost terminal is an error."""
    for number in terminals:
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)


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
    if any(thread.name.startswith(CONNECTION_CLOSER) for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
