"""What the server has been asked."""

import threading
from collections import Counter, defaultdict, deque
from functools import partial

import numpy as np

from hilserl.robot.control.timing import percentiles_ms

_REMEMBERED = 512


class RequestMetrics:
    """Counts, and of each route how long the last few hundred answers took; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._seconds: defaultdict[str, deque[float]] = defaultdict(partial(deque, maxlen=_REMEMBERED))

    def count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1

    def answered(self, route: str, status: int, seconds: float) -> None:
        with self._lock:
            self._counts["requests"] += 1
            self._counts[f"answers_{status}"] += 1
            self._seconds[route].append(seconds)

    def numbers(self) -> dict[str, float]:
        """All of it, flat."""
        with self._lock:
            found: dict[str, float] = dict(self._counts)
            laps = {route: np.array(seconds) for route, seconds in self._seconds.items()}
        for route, seconds in laps.items():
            found |= percentiles_ms(f"request_{route}", seconds)
        return found
