"""Numbers out of their declared range are refused by name, wherever they stand."""

import math
from dataclasses import dataclass, field
from typing import Any

import pytest

from hilserl.errors import HilserlError
from hilserl.settings import AtLeastOne, Count, Fraction, NotNegative, Port, Positive, Rate, check_settings


@dataclass(frozen=True)
class Inner:
    rate: Rate = 0.5
    widths: tuple[AtLeastOne, ...] = (1, 2)
    corner_m: tuple[float, float] = (0.0, 1.0)


@dataclass(frozen=True)
class Outer:
    count: Count = 0
    many: AtLeastOne = 1
    port: Port = 0
    weight: NotNegative = 0.0
    minutes: Positive = 1.0
    discount: Fraction = 1.0
    patience: AtLeastOne | None = None
    stiffness: dict[str, Positive] = field(default_factory=dict)
    name: str = "nan"
    free: float = -1e9
    shown: bool = False
    inner: Inner = Inner()


VALID: list[dict[str, Any]] = [
    {},
    {"port": 65_535, "weight": 0, "minutes": 1e-9, "discount": 0, "patience": 1},
    {"stiffness": {"x": 1.0}, "inner": Inner(rate=1.0, widths=(), corner_m=(-1.0, 0.0))},
]
INVALID: list[tuple[dict[str, Any], str]] = [
    ({"count": -1}, "Invalid count -1: expected at least 0."),
    ({"many": 0}, "Invalid many 0: expected at least 1."),
    ({"port": 65_536}, "Invalid port 65536: expected a number in [0, 65535]."),
    ({"weight": -0.1}, "Invalid weight -0.1: expected at least 0."),
    ({"minutes": 0.0}, "Invalid minutes 0.0: expected a number above 0."),
    ({"minutes": math.nan}, "Invalid minutes nan: expected a finite number."),
    ({"free": math.inf}, "Invalid free inf: expected a finite number."),
    ({"discount": 1.1}, "Invalid discount 1.1: expected a number in [0, 1]."),
    ({"patience": 0}, "Invalid patience 0: expected at least 1."),
    ({"stiffness": {"x": 0.0}}, "Invalid stiffness.x 0.0: expected a number above 0."),
    ({"inner": Inner(rate=0.0)}, "Invalid inner.rate 0.0: expected a number in (0, 1]."),
    ({"inner": Inner(widths=(3, 0))}, "Invalid inner.widths[1] 0: expected at least 1."),
    ({"inner": Inner(corner_m=(0.0, math.nan))}, "Invalid inner.corner_m[1] nan: expected a finite number."),
]


@pytest.mark.parametrize("settings", VALID)
def test_check_settings_takes_numbers_in_their_range(settings: dict[str, Any]) -> None:
    check_settings(Outer(**settings))


@pytest.mark.parametrize(("settings", "message"), INVALID)
def test_check_settings_names_what_is_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(HilserlError) as error:
        check_settings(Outer(**settings))
    assert str(error.value) == message


def test_check_settings_names_a_flag() -> None:
    with pytest.raises(HilserlError, match=r"^Invalid --inner\.corner-m\[0\] inf: expected a finite number\.$"):
        check_settings(Outer(inner=Inner(corner_m=(math.inf, 0.0))), as_flags=True)
