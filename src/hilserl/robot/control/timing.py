"""Timing of loops: steady rates, tick deadlines and their statistics."""

import time
from collections.abc import Callable

import numpy as np

WINDOW = 4096
"""Number of recent ticks that the timing statistics cover."""
_MAX_BEHIND_TICKS = 50


class RateLimiter:
    """Steady rate without drift.

    Each wait ends one period after the previous wait should have ended. A step that comes late by a period or more is
    counted, and the schedule restarts from there, so that the following steps are not hurried.

    Args:
        rate_hz: steps a second; the attribute may be changed at any time.
        now: clock in seconds.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        rate_hz: float,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.rate_hz = rate_hz
        self._now, self._sleep = now, sleep
        self._next: float | None = None
        self.late = 0
        """Number of steps that came late."""

    def begin(self) -> None:
        """Restart the schedule at the present moment."""
        self._next = self._now()

    def wait(self) -> float:
        """Wait until the next step is due.

        Returns:
            Seconds by which the step is late.
        """
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


class LoopTimer:
    """Clock of a real-time loop, with a record of lateness and load.

    It waits for each tick, catches up on short delays, and skips ticks when the loop is too far behind.

    Args:
        tick_s: period of the loop.
        lateness_s: ring of `WINDOW` numbers; filled with how late each of the last ticks began.
        busy_s: ring of `WINDOW` numbers; filled with how long each of the last ticks took.
        now: clock in seconds.
        sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        tick_s: float,
        lateness_s: np.ndarray,
        busy_s: np.ndarray,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._tick_s, self._lateness_s, self._busy_s = tick_s, lateness_s, busy_s
        self._now, self._sleep = now, sleep
        self._due = self._begun = now()
        self.ticks = 0
        """Number of ticks so far."""
        self.skipped = 0
        """Number of ticks that the loop has left out for good."""

    def record_paced_tick(self, waited_s: float) -> None:
        """Record a tick that the robot paced; it replaces `wait`.

        A tick is late if it comes more than a period after the previous one.

        Args:
            waited_s: how long the tick waited for the robot.
        """
        now = self._now()
        came = self._begun + waited_s
        self._busy_s[self.ticks % WINDOW] = now - came
        self.ticks += 1
        self._lateness_s[self.ticks % WINDOW] = max(0.0, came - self._due - self._tick_s)
        self._due, self._begun = came, now

    def wait(self) -> None:
        """Wait until the next tick is due."""
        now = self._now()
        self._busy_s[self.ticks % WINDOW] = now - self._begun
        self._due += self._tick_s
        if now < self._due:
            self._sleep(self._due - now)
            now = self._now()
        behind = now - self._due
        if behind > _MAX_BEHIND_TICKS * self._tick_s:
            missed = int(behind / self._tick_s)
            self.skipped += missed
            self._due += missed * self._tick_s
        self.ticks += 1
        self._lateness_s[self.ticks % WINDOW] = max(0.0, behind)
        self._begun = now


def percentiles_ms(name: str, seconds: np.ndarray) -> dict[str, float]:
    """Compute the median, 99th percentile and maximum in milliseconds.

    Returns:
        `{name}_p50_ms`, `{name}_p99_ms` and `{name}_max_ms`; an empty dict for no measurements.
    """
    if not len(seconds):
        return {}
    p50, p99, largest = (1e3 * np.percentile(seconds, [50, 99, 100])).tolist()
    return {f"{name}_p50_ms": p50, f"{name}_p99_ms": p99, f"{name}_max_ms": largest}
