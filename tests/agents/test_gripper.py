"""Gripper choices."""

import jax.numpy as jnp
import pytest

from hilserl.agents.gripper import choice_index, gripper_choices


@pytest.mark.parametrize("grippers", [1, 2])
def test_choices_and_actions_are_one_to_one(grippers: int) -> None:
    table = gripper_choices(grippers)
    assert table.shape == (3**grippers, grippers)
    assert choice_index(jnp.array(table)).tolist() == list(range(3**grippers))


@pytest.mark.parametrize(("action", "choice"), [(0.95, 2), (-0.95, 0), (0.6, 2), (-0.6, 0), (0.3, 1), (-0.3, 1)])
def test_choice_index_rounds_gripper_actions(action: float, choice: int) -> None:
    assert choice_index(jnp.array([[action]])).tolist() == [choice]
