"""Lease of the arm: one client controls it at a time."""

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from hilserl.errors import HilserlError

SILENCE_S = 5.0
"""Time without a command after which a client loses the lease."""


class HeldError(HilserlError):
    """Command or release while another client holds the lease."""


class Client(NamedTuple):
    """A client of the server."""

    identity: str
    """Secret of the client, or its machine's address; never shown."""
    name: str
    """Name for people."""


class Lease:
    """Exclusive control over the arm.

    The first client that commands the arm takes the lease. It keeps the lease by further commands, and loses it after
    a time of silence.

    Args:
        silence_s: time of silence that ends the lease.
        now: clock in seconds.
    """

    def __init__(self, silence_s: float = SILENCE_S, now: Callable[[], float] = time.monotonic) -> None:
        self._silence_s, self._now = silence_s, now
        self._lock = threading.Lock()
        self._holder: Client | None = None
        self._used_s = 0.0

    def claim(self, client: Client) -> None:
        """Take or keep the lease. Raises `HeldError` if another client holds it."""
        with self._lock:
            holder, left_s = self._current()
            if holder is not None and holder.identity != client.identity:
                raise HeldError(
                    f"{holder.name} controls the arm. The arm is free after {left_s:.1f} s more without a command, or "
                    f"once {holder.name} sends POST /release."
                )
            self._holder, self._used_s = client, self._now()

    def release(self, client: Client) -> None:
        """Give the lease back. Raises `HeldError` if another client holds it."""
        self.claim(client)
        with self._lock:
            self._holder = None

    @property
    def holder(self) -> str | None:
        """Name of the lease's holder; None if the arm is free."""
        with self._lock:
            current = self._current()[0]
        return current.name if current else None

    def _current(self) -> tuple[Client | None, float]:
        left_s = self._used_s + self._silence_s - self._now()
        return (self._holder, left_s) if left_s > 0 else (None, 0.0)
