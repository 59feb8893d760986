"""A steady beat without drift."""

import time
from collections.abc import Callable


class Pace:
    """Beats at a rate: each wait ends a whole number of periods after the first.

    A step that comes late by a period or more is counted, and the beat begins anew from there, so that nothing is
    hurried afterwards.
    """

    def __init__(
        self,
        rate_hz: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._period_s, self._now, self._sleep = 1.0 / rate_hz, now, sleep
        self._next: float | None = None
        self.late = 0

    def wait(self) -> None:
        """Until the next beat."""
        now = self._now()
        if self._next is None:
            self._next = now
        self._next += self._period_s
        if now > self._next:
            self.late += 1
            self._next = now
            return
        self._sleep(self._next - now)
