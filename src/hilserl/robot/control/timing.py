"""How well a loop keeps its beat."""

import time

import numpy as np

WINDOW = 4096
"""Ticks that lateness is measured over."""
_MOST_BEHIND_TICKS = 50


class LoopTimer:
    """A loop's clock: waits for each tick, catches up on short delays, and gives up on what is too far behind.

    `lateness_s` and `busy_s` are rings of the last ticks: how late each began, and how long it took.
    """

    def __init__(self, tick_s: float, lateness_s: np.ndarray, busy_s: np.ndarray) -> None:
        self._tick_s, self._lateness_s, self._busy_s = tick_s, lateness_s, busy_s
        self._due = self._begun = time.monotonic()
        self.ticks = self.skipped = 0
        """`skipped` is how many ticks of real time the loop has left out for good."""

    def follow(self, waited_s: float) -> None:
        """Instead of `wait` after a tick that has itself waited for a robot's beat, and how long.

        A beat is late where it comes more than a tick after the one before.
        """
        now = time.monotonic()
        came = self._begun + waited_s
        self._busy_s[self.ticks % WINDOW] = now - came
        self.ticks += 1
        self._lateness_s[self.ticks % WINDOW] = max(0.0, came - self._due - self._tick_s)
        self._due, self._begun = came, now

    def wait(self) -> None:
        """Until the next tick is due."""
        now = time.monotonic()
        self._busy_s[self.ticks % WINDOW] = now - self._begun
        self._due += self._tick_s
        if now < self._due:
            time.sleep(self._due - now)
            now = time.monotonic()
        behind = now - self._due
        if behind > _MOST_BEHIND_TICKS * self._tick_s:
            missed = int(behind / self._tick_s)
            self.skipped += missed
            self._due += missed * self._tick_s
        self.ticks += 1
        self._lateness_s[self.ticks % WINDOW] = max(0.0, behind)
        self._begun = now


def percentiles_ms(name: str, seconds: np.ndarray) -> dict[str, float]:
    """Median, 99th percentile and maximum in milliseconds; empty where nothing was measured."""
    if not len(seconds):
        return {}
    p50, p99, most = (1e3 * np.percentile(seconds, [50, 99, 100])).tolist()
    return {f"{name}_p50_ms": p50, f"{name}_p99_ms": p99, f"{name}_max_ms": most}
