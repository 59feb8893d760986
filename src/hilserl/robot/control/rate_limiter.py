"""A steady beat without drift."""

import time
from collections.abc import Callable


class RateLimiter:
    """Beats at a rate: each wait ends a period after the one before should have ended.

    A step that comes late by a period or more is counted, and the beat begins anew from there, so that nothing is
    hurried afterwards.
    """

    def __init__(
        self,
        rate_hz: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.rate_hz = rate_hz
        """May be changed at any time."""
        self._now, self._sleep = now, sleep
        self._next: float | None = None
        self.late = 0

    def begin(self) -> None:
        """Now is a beat, whatever was before."""
        self._next = self._now()

    def wait(self) -> float:
        """Until the next beat; returns by how many seconds it was missed."""
        now = self._now()
        if self._next is None:
            self._next = now
        self._next += 1.0 / self.rate_hz
        if now > self._next:
            self.late += 1
            behind, self._next = now - self._next, now
            return behind
        self._sleep(self._next - now)
        return self._now() - self._next
