"""Robot-minutes and attended minutes follow from steps and evaluations."""

import pytest

from hilserl.runs.effort import attended_minutes, begins_trust, robot_minutes


def evaluations(*rates: float) -> list[dict[str, float]]:
    return [{"env_steps": 600 * index, "success_rate": rate} for index, rate in enumerate(rates, 1)]


def test_robot_minute_is_600_steps() -> None:
    assert robot_minutes(1500) == 2.5


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ((), 6.0),
        ((1.0,), 6.0),
        ((0.95, 0.5, 0.95, 0.5), 6.0),
        ((0.5, 0.9, 0.9, 0.2), 2.0),
        ((1.0, 0.89, 1.0, 1.0), 3.0),
    ],
)
def test_attended_minutes_end_with_the_first_of_two_good_evaluations(rates: tuple[float, ...], expected: float) -> None:
    assert attended_minutes(evaluations(*rates), 3600) == expected


def test_attended_minutes_of_a_run_that_clones_are_none() -> None:
    at_step_0 = [{"env_steps": 0, "success_rate": 0.95}] * 2
    assert attended_minutes(at_step_0, 0) == 0.0


def test_trust_begins_once() -> None:
    rates = (0.95, 0.5, 0.9, 0.9, 1.0, 0.2, 1.0, 1.0)
    assert [begins_trust(evaluations(*rates[:count])) for count in range(len(rates) + 1)].index(True) == 4
    assert sum(begins_trust(evaluations(*rates[:count])) for count in range(len(rates) + 1)) == 1
