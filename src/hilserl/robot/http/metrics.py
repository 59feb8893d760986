"""Measurements of the server's requests."""

import threading
from collections import Counter, defaultdict, deque
from functools import partial

import numpy as np

from hilserl.robot.control.timing import percentiles_ms

_REMEMBERED = 512


class RequestMetrics:
    """Counts of requests, and the durations of each route's last 512 answers.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._seconds: defaultdict[str, deque[float]] = defaultdict(partial(deque, maxlen=_REMEMBERED))

    def count(self, name: str) -> None:
        """Count one event."""
        with self._lock:
            self._counts[name] += 1

    def record(self, route: str, status: int, seconds: float) -> None:
        """Record one answer."""
        with self._lock:
            self._counts["requests"] += 1
            self._counts[f"answers_{status}"] += 1
            self._seconds[route].append(seconds)

    def summary(self) -> dict[str, float]:
        """Return all counts and percentiles as one flat mapping."""
        with self._lock:
            summary: dict[str, float] = dict(self._counts)
            durations = {route: np.array(seconds) for route, seconds in self._seconds.items()}
        for route, seconds in durations.items():
            summary |= percentiles_ms(f"request_{route}", seconds)
        return summary
