"""Timers of a repeated piece of work."""

import contextlib
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_REMEMBERED = 500


class LapTimers:
    """Durations of named laps; the last few hundred of each are kept."""

    def __init__(self) -> None:
        self._laps: dict[str, deque[float]] = {}

    @contextlib.contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Time a block of code."""
        started = time.perf_counter()
        yield
        self._laps.setdefault(name, deque(maxlen=_REMEMBERED)).append(time.perf_counter() - started)

    def timed(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """Return the function with every call timed."""

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.lap(name):
                return function(*args, **kwargs)

        return call

    def median_s(self, name: str) -> float:
        """Return the median seconds of a lap, 0 before the first.

        The median does not change with a compilation among the laps.
        """
        laps = self._laps.get(name)
        return statistics.median(list(laps)) if laps else 0.0

    def medians_ms(self) -> dict[str, float]:
        """Return the median milliseconds of laps in order of first use."""
        return {f"{name}_ms": 1e3 * self.median_s(name) for name in list(self._laps)}

    def __str__(self) -> str:
        """List the median of each lap."""
        return ", ".join(f"{name} {1e3 * self.median_s(name):.2f} ms" for name in list(self._laps)) or "nothing timed"
