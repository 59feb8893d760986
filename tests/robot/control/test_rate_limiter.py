"""A beat that neither drifts nor hurries, by a clock that the tests turn."""

import numpy as np
import pytest

from hilserl.robot.control.rate_limiter import RateLimiter


class Clock:
    """Stands still but for what is slept and worked."""

    def __init__(self, oversleep: float = 0.0) -> None:
        self.now, self.oversleep = 1000.0, oversleep
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        assert seconds >= 0
        self.slept.append(seconds)
        self.now += seconds + self.oversleep

    def pace(self, rate_hz: float) -> RateLimiter:
        return RateLimiter(rate_hz, lambda: self.now, self.sleep)


@pytest.mark.parametrize("rate_hz", [10.0, 3.0, 29.97, 500.0])
@pytest.mark.parametrize("oversleep", [0.0, 0.1])
def test_ten_thousand_beats_do_not_drift(rate_hz: float, oversleep: float) -> None:
    """However long the work takes, and however late the system wakes us, as long as it is less than a period."""
    clock, rng = Clock(oversleep / rate_hz), np.random.default_rng(0)
    pace, begin = clock.pace(rate_hz), clock.now
    for beat in range(1, 10_001):
        pace.wait()
        assert clock.now - begin == pytest.approx((beat + oversleep) / rate_hz, abs=1e-6)
        clock.now += rng.uniform(0, 0.85) / rate_hz
    assert pace.late == 0
    assert len(clock.slept) == 10_000


def test_the_first_beat_comes_a_period_after_the_first_wait() -> None:
    clock = Clock()
    clock.pace(10.0).wait()
    assert clock.slept == [pytest.approx(0.1)]


@pytest.mark.parametrize("late_by_periods", [1.5, 2.0, 40.0])
def test_a_late_beat_is_counted_once_and_nothing_is_hurried_afterwards(late_by_periods: float) -> None:
    clock = Clock()
    pace = clock.pace(10.0)
    for _ in range(3):
        pace.wait()
    clock.now += late_by_periods * 0.1
    came, slept = clock.now, len(clock.slept)
    pace.wait()
    assert (pace.late, clock.now, len(clock.slept)) == (1, came, slept), "it does not wait as well"
    for beat in range(1, 50):
        clock.now += 0.03
        pace.wait()
        assert clock.now == pytest.approx(came + 0.1 * beat), "a period after the late one, and so on"
    assert pace.late == 1


def test_every_late_beat_is_counted() -> None:
    clock = Clock()
    pace = clock.pace(10.0)
    pace.wait()
    for _ in range(100):
        clock.now += 0.25
        pace.wait()
    assert pace.late == 100
    assert len(clock.slept) == 1


def test_work_that_takes_just_a_period_is_not_late() -> None:
    clock = Clock()
    pace = clock.pace(8.0)
    pace.wait()
    for _ in range(100):
        clock.now += 0.125
        pace.wait()
    assert pace.late == 0


def test_the_rate_may_change_at_any_time() -> None:
    clock = Clock()
    pace = clock.pace(10.0)
    pace.wait()
    for rate_hz in (10.0, 100.0, 2.0, 2.0, 50.0):
        pace.rate_hz, before = rate_hz, clock.now
        pace.wait()
        assert clock.now - before == pytest.approx(1 / rate_hz)
    assert pace.late == 0
