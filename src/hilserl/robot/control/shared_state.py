"""Newest state of a loop in another process, read without locks."""

import time
from collections.abc import Mapping
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np

from hilserl.robot.control.backend import LostError

_COUNTER, _WRITTEN = 0, 1
_HEAD = 2
_PATIENCE_S, _LOOKS, _SHORT_LOOKS = 1.0, 1000, 100
"""Time and looks after which an unchanged write has stopped.

Linux may stop either process for tens of milliseconds, also within a write. After the short looks the reader sleeps, so
that it does not take the writer's core.
"""


class SharedState:
    """Named float64 vectors in shared memory: one writer, any number of readers.

    The counter is odd while the writer is at work. A reader that sees it odd, or sees it change, reads again.

    Args:
        memory: shared memory, from `allocate`.
        layout: names and sizes of the vectors.
        stale_s: time without a write after which the writer counts as dead.
    """

    def __init__(self, memory: Any, layout: Mapping[str, int], stale_s: float = 1.0) -> None:
        self._stale_s = stale_s
        self._numbers = np.frombuffer(memory, dtype=np.float64)
        self._slices, start = {}, _HEAD
        for name, size in layout.items():
            self._slices[name] = slice(start, start + size)
            start += size

    @staticmethod
    def allocate(context: BaseContext, layout: Mapping[str, int]) -> Any:
        """Allocate shared memory for a layout, for the writer's process as well."""
        return context.RawArray("d", _HEAD + sum(layout.values()))

    def write(self, values: Mapping[str, np.ndarray | float]) -> None:
        """Write vectors as one consistent state."""
        numbers = self._numbers
        numbers[_COUNTER] += 1
        for name, value in values.items():
            numbers[self._slices[name]] = value
        numbers[_WRITTEN] = time.monotonic()
        numbers[_COUNTER] += 1

    def read(self) -> dict[str, np.ndarray]:
        """Read all vectors as of one moment. Raises `LostError` if the writer is silent."""
        numbers = self._consistent()
        silent_s = time.monotonic() - numbers[_WRITTEN]
        if silent_s > self._stale_s:
            raise LostError(f"The arm's loop has been silent for {silent_s:.1f} s; restart the server.")
        return {name: numbers[part] for name, part in self._slices.items()}

    def _consistent(self) -> np.ndarray:
        """Copy all numbers between two writes."""
        seen, since_s, looks = -1.0, 0.0, 0
        while True:
            before = float(self._numbers[_COUNTER])
            numbers = self._numbers.copy()
            if before % 2 == 0 and before == self._numbers[_COUNTER]:
                return numbers
            if before != seen:
                seen, since_s, looks = before, time.monotonic(), 0
            looks += 1
            if looks > _LOOKS and time.monotonic() - since_s > _PATIENCE_S:
                raise LostError(
                    "The arm's loop stopped while it was writing its state. The server needs it: start it again."
                )
            time.sleep(0 if looks < _SHORT_LOOKS else 0.001)
