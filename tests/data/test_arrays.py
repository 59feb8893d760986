"""Arrays of a pytree leave it and return to it by name."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from hilserl.agents.sac import create_sac_agent
from hilserl.data.arrays import named_arrays, with_arrays
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from tests.support.batches import SMALL, moved

Arrays = dict[str, np.ndarray]


def test_arrays_return_by_name(state_spec: ExperienceSpec) -> None:
    one, other = (create_sac_agent(state_spec, SMALL, seed) for seed in (0, 1))
    stored = {name: np.asarray(array) for name, array in named_arrays(one).items()}
    assert "actor.policy.mean.weight" in stored
    assert moved(one, other)
    assert not moved(one, with_arrays(other, stored))


@pytest.mark.parametrize(
    "damage",
    [
        lambda arrays, name: arrays | {"other": arrays[name]},
        lambda arrays, name: {key: value for key, value in arrays.items() if key != name},
        lambda arrays, name: arrays | {name: arrays[name][1:]},
        lambda arrays, name: arrays | {name: arrays[name].astype(np.float64)},
    ],
)
def test_arrays_that_differ_are_refused(state_spec: ExperienceSpec, damage: Callable[[Arrays, str], Arrays]) -> None:
    agent = create_sac_agent(state_spec, dataclasses.replace(SMALL, hidden=(4,)), 0)
    stored = {name: np.asarray(array) for name, array in named_arrays(agent).items()}
    with pytest.raises(HilserlError, match="0 more arrays differ"):
        with_arrays(agent, damage(stored, "actor.policy.mean.weight"))
