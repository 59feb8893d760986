"""Where the time of a repeated piece of work goes."""

import contextlib
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
_REMEMBERED = 500


class Stopwatch:
    """Named laps; of each it remembers the last few hundred."""

    def __init__(self) -> None:
        self._laps: dict[str, deque[float]] = {}

    @contextlib.contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Times a block."""
        started = time.perf_counter()
        yield
        self._laps.setdefault(name, deque(maxlen=_REMEMBERED)).append(time.perf_counter() - started)

    def timed(self, name: str, function: Callable[P, R]) -> Callable[P, R]:
        """The function, its calls timed."""

        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.lap(name):
                return function(*args, **kwargs)

        return call

    def typical_s(self, name: str) -> float:
        """Median seconds of a lap; 0 where it has not been taken. A compilation among the laps makes no difference."""
        laps = self._laps.get(name)
        return statistics.median(list(laps)) if laps else 0.0

    def __str__(self) -> str:
        return ", ".join(f"{name} {1e3 * self.typical_s(name):.2f} ms" for name in list(self._laps)) or "nothing timed"

    def milliseconds(self) -> dict[str, float]:
        """Median milliseconds of each lap, in the order in which they were first taken."""
        return {f"{name}_ms": 1e3 * self.typical_s(name) for name in list(self._laps)}
