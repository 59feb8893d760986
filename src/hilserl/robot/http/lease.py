"""Who controls the arm: one client at a time."""

import threading
import time
from collections.abc import Callable

from hilserl.errors import HilserlError

SILENCE_S = 5.0


class HeldError(HilserlError):
    """Somebody else controls the arm."""


class Lease:
    """Taken by whoever first commands the arm, kept by commanding it, lost by being silent for a while."""

    def __init__(self, silence_s: float = SILENCE_S, now: Callable[[], float] = time.monotonic) -> None:
        self._silence_s, self._now = silence_s, now
        self._lock = threading.Lock()
        self._holder: str | None = None
        self._used_s = 0.0

    def claim(self, client: str) -> None:
        """Takes or keeps the lease. Raises `HeldError` where somebody else has it."""
        with self._lock:
            holder, left_s = self._current()
            if holder not in (None, client):
                raise HeldError(
                    f"{holder} controls the arm; it is free once it has been silent for {left_s:.1f} s more, or "
                    "with its POST /release."
                )
            self._holder, self._used_s = client, self._now()

    def release(self, client: str) -> None:
        """Gives the lease back; of somebody else's it raises `HeldError`."""
        self.claim(client)
        with self._lock:
            self._holder = None

    @property
    def holder(self) -> str | None:
        with self._lock:
            return self._current()[0]

    def _current(self) -> tuple[str | None, float]:
        left_s = self._used_s + self._silence_s - self._now()
        return (self._holder, left_s) if left_s > 0 else (None, 0.0)
