"""Ctrl-C and SIGTERM as a request."""

import contextlib
import signal
from collections.abc import Iterator
from dataclasses import dataclass


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

        try:
            before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not in the main thread, where nobody can send a signal
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
