"""Numbers that no step may have are refused with step, entry, value and expectation."""

import numpy as np
import pytest

from hilserl.data.checks import MAX_REWARD, NumberCheck, NumberError
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry

SPEC = ExperienceSpec(
    "toy", StateLayout((entry("position_m", 3), entry("width_m", 1, 0.04, 0.04))), ActionLayout(("dx", "gripper"), (1,))
)


def numbers(steps: int = 4) -> dict[str, np.ndarray]:
    return {
        "action": np.zeros((steps, 2), np.float32),
        "state": np.zeros((steps, 4), np.float32),
        "reward": np.zeros(steps, np.float32),
        "human_seconds": np.zeros(steps, np.float32),
    }


def test_sensible_numbers_pass() -> None:
    given = numbers()
    given["state"][1] = [100, -1000, 0, 0.08]
    given["action"][2], given["reward"][3] = [1, -1], -MAX_REWARD
    NumberCheck(SPEC)(given, "here")
    NumberCheck(SPEC)({}, "here")


@pytest.mark.parametrize(
    ("name", "place", "value", "said"),
    [
        ("state", (2, 1), np.nan, r"here, step 12: state entry position_m\[1\] is nan; expected a number in \["),
        ("state", (0, 3), np.inf, r"step 10: state entry width_m\[0\] is inf"),
        ("state", (0, 0), 3e38, r"position_m\[0\] is 3e\+38"),
        ("action", (3, 1), 10.0, r"step 13: action gripper is 10; expected a number in \[-1, 1\]"),
        ("action", (1, 0), -np.inf, "action dx is -inf"),
        ("reward", (1,), 3e38, r"step 11: reward is 3e\+38; expected a number in \[-10000, 10000\]"),
        ("reward", (1,), np.nan, "reward is nan"),
        ("human_seconds", (2,), -0.1, "human_seconds is -0.1"),
        ("human_seconds", (2,), np.inf, "human_seconds is inf"),
    ],
)
def test_refusal_names_step_entry_value_and_expectation(
    name: str, place: tuple[int, ...], value: float, said: str
) -> None:
    given = numbers()
    given[name][place] = value
    with pytest.raises(NumberError, match=said):
        NumberCheck(SPEC)(given, "here", first_step=10)
