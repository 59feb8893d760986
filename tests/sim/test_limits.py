"""Limits of episodes in steps and seconds."""

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.sim.task_env import steps_of
from hilserl.tasks import make_sim_env


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_limit_cuts_the_episode_exactly(limit: int) -> None:
    env = make_sim_env("pick_cube", max_episode_steps=limit)
    for _ in range(2):
        env.reset(seed=0)
        cuts = [env.step(np.zeros(4))[2:4] for _ in range(limit)]
        assert cuts == [(False, False)] * (limit - 1) + [(False, True)]


def test_seconds_become_control_steps() -> None:
    assert [steps_of(0.1 * n) for n in range(1, 700)] == list(range(1, 700))
    for too_short in (0.0, 0.04, -1.0):
        with pytest.raises(HilserlError, match="at least a control step"):
            steps_of(too_short)


@pytest.mark.parametrize("seconds", [float("inf"), float("nan")])
def test_seconds_without_a_number_of_steps_are_refused(seconds: float) -> None:
    with pytest.raises(HilserlError, match=str(seconds)):
        steps_of(seconds)
