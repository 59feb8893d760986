"""Rates of repeated calls."""

import time
from collections.abc import Callable

import numpy as np

BLOCKS = 5
"""Blocks of calls that a rate is the median of."""


def calls_per_s(call: Callable[[], object], count: int, blocks: int = BLOCKS) -> float:
    """Measure how often a function can be called in a second.

    Args:
        call: The function.
        count: Calls in a block; a tenth as many warm up before the first block.
        blocks: The result is the median over so many blocks.

    Returns:
        Calls per second.
    """
    for _ in range(max(1, count // 10)):
        call()
    return float(np.median([timed_calls_per_s(call, count) for _ in range(blocks)]))


def timed_calls_per_s(call: Callable[[], object], count: int) -> float:
    """Measure the rate of one block of calls, without warming up."""
    started = time.perf_counter()
    for _ in range(count):
        call()
    return count / (time.perf_counter() - started)
