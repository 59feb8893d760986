"""Rates and tick deadlines, by a clock that the tests control."""

import numpy as np
import pytest

from hilserl.robot.control.timing import WINDOW, LoopTimer, RateLimiter, percentiles_ms


class Clock:
    """Simulated clock; only sleeping and `now += ...` advance it."""

    def __init__(self, oversleep: float = 0.0) -> None:
        self.now, self.oversleep = 1000.0, oversleep
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds + self.oversleep

    def limiter(self, rate_hz: float) -> RateLimiter:
        return RateLimiter(rate_hz, lambda: self.now, self.sleep)

    def timer(self, lateness_s: np.ndarray, busy_s: np.ndarray) -> LoopTimer:
        return LoopTimer(0.001, lateness_s, busy_s, lambda: self.now, self.sleep)


@pytest.mark.parametrize("rate_hz", [10.0, 3.0, 29.97, 500.0])
@pytest.mark.parametrize("oversleep", [0.0, 0.1])
def test_rate_limiter_does_not_drift_over_ten_thousand_steps(rate_hz: float, oversleep: float) -> None:
    """The work and the late wake-up together take less than a period."""
    clock, rng = Clock(oversleep / rate_hz), np.random.default_rng(0)
    limiter, begin = clock.limiter(rate_hz), clock.now
    for step in range(1, 10_001):
        limiter.wait()
        assert clock.now - begin == pytest.approx((step + oversleep) / rate_hz, abs=1e-6)
        clock.now += rng.uniform(0, 0.85) / rate_hz
    assert limiter.late == 0
    assert len(clock.slept) == 10_000


def test_rate_limiter_ends_the_first_wait_after_a_period() -> None:
    clock = Clock()
    clock.limiter(10.0).wait()
    assert clock.slept == [pytest.approx(0.1)]


@pytest.mark.parametrize("late_by_periods", [1.5, 2.0, 40.0])
def test_rate_limiter_counts_a_late_step_once_and_does_not_hurry(late_by_periods: float) -> None:
    clock = Clock()
    limiter = clock.limiter(10.0)
    for _ in range(3):
        limiter.wait()
    clock.now += late_by_periods * 0.1
    came, slept = clock.now, len(clock.slept)
    limiter.wait()
    assert (limiter.late, clock.now, len(clock.slept)) == (1, came, slept), "a late step does not wait"
    for step in range(1, 50):
        clock.now += 0.03
        limiter.wait()
        assert clock.now == pytest.approx(came + 0.1 * step), "each step comes a period after the previous one"
    assert limiter.late == 1


def test_rate_limiter_counts_each_late_step() -> None:
    clock = Clock()
    limiter = clock.limiter(10.0)
    limiter.wait()
    for _ in range(100):
        clock.now += 0.25
        limiter.wait()
    assert limiter.late == 100
    assert len(clock.slept) == 1


def test_rate_limiter_does_not_count_a_step_of_just_a_period() -> None:
    clock = Clock()
    limiter = clock.limiter(8.0)
    limiter.wait()
    for _ in range(100):
        clock.now += 0.125
        limiter.wait()
    assert limiter.late == 0


def test_rate_limiter_takes_a_changed_rate() -> None:
    clock = Clock()
    limiter = clock.limiter(10.0)
    limiter.wait()
    for rate_hz in (10.0, 100.0, 2.0, 2.0, 50.0):
        limiter.rate_hz, before = rate_hz, clock.now
        limiter.wait()
        assert clock.now - before == pytest.approx(1 / rate_hz)
    assert limiter.late == 0


def test_loop_timer_catches_up_or_skips() -> None:
    clock, late = Clock(), np.zeros(WINDOW)
    timer = clock.timer(late, np.zeros(WINDOW))
    timer.wait()
    clock.now += 0.0055
    for _ in range(6):
        timer.wait()
    assert len(clock.slept) == 2, "five ticks at once, then a wait again"
    assert np.isclose(clock.now, 1000.007)
    assert np.isclose(late.max(), 0.0045)
    clock.now += 1.0
    timer.wait()
    assert timer.skipped == pytest.approx(999, abs=1)


def test_loop_timer_records_ticks_that_the_robot_paces() -> None:
    clock, late, busy = Clock(), np.zeros(WINDOW), np.zeros(WINDOW)
    timer = clock.timer(late, busy)
    for waited_s, worked_s in ((0.0010, 0.0002), (0.0008, 0.0002), (0.0018, 0.0002)):
        clock.now += waited_s + worked_s
        timer.record_paced_tick(waited_s)
    assert timer.ticks == 3
    assert np.allclose(busy[:3], 0.0002)
    assert np.allclose(late[1:4], [0, 0, 0.001], atol=1e-9)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [([], {}), ([0.001, 0.002, 0.003], {"x_p50_ms": 2.0, "x_p99_ms": 2.98, "x_max_ms": 3.0})],
)
def test_percentiles_ms_names_the_statistics(seconds: list[float], expected: dict[str, float]) -> None:
    assert percentiles_ms("x", np.array(seconds)) == pytest.approx(expected)
