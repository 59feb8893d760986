"""Lease of the arm: one client controls it at a time."""

import threading
import time
from collections.abc import Callable

from hilserl.errors import HilserlError

SILENCE_S = 5.0
"""Time without a command after which a client loses the lease."""


class HeldError(HilserlError):
    """Command or release while another client holds the lease."""


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
        self._holder: str | None = None
        self._used_s = 0.0

    def claim(self, client: str) -> None:
        """Take or keep the lease. Raises `HeldError` if another client holds it."""
        with self._lock:
            holder, left_s = self._current()
            if holder not in (None, client):
                raise HeldError(
                    f"{holder} controls the arm. The arm is free after {left_s:.1f} s more without a command, or once "
                    f"{holder} sends POST /release."
                )
            self._holder, self._used_s = client, self._now()

    def release(self, client: str) -> None:
        """Give the lease back. Raises `HeldError` if another client holds it."""
        self.claim(client)
        with self._lock:
            self._holder = None

    @property
    def holder(self) -> str | None:
        """Client that holds the lease; None if the arm is free."""
        with self._lock:
            return self._current()[0]

    def _current(self) -> tuple[str | None, float]:
        left_s = self._used_s + self._silence_s - self._now()
        return (self._holder, left_s) if left_s > 0 else (None, 0.0)
