"""Rates of repeated calls."""

import time

import pytest

from hilserl.benchmarks.rates import calls_per_s


def test_rate_counts_calls_and_warms_up() -> None:
    calls: list[int] = []
    calls_per_s(lambda: calls.append(0), count=20, blocks=3)
    assert len(calls) == 2 + 3 * 20


def test_rate_is_that_of_the_call() -> None:
    assert calls_per_s(lambda: time.sleep(0.01), count=5, blocks=1) == pytest.approx(100, rel=0.5)
