"""Gripper choices and the penalty on changes."""

import jax.numpy as jnp
import pytest

from hilserl.agents.gripper import choice_index, count_changes, gripper_choices


def test_penalty_is_for_changing_the_gripper_seen_before_the_action() -> None:
    commands = jnp.array([[1.0], [1.0], [1.0], [-1.0], [-1.0], [-1.0]])
    actions = jnp.array([[-1.0], [0.0], [1.0], [-1.0], [0.0], [1.0]])
    assert count_changes(commands, actions).tolist() == [1, 0, 0, 0, 0, 1]
    assert count_changes(jnp.array([[1.0, -1.0]]), jnp.array([[-1.0, 1.0]])).tolist() == [2]


@pytest.mark.parametrize("grippers", [1, 2])
def test_choices_and_actions_are_one_to_one(grippers: int) -> None:
    table = gripper_choices(grippers)
    assert table.shape == (3**grippers, grippers)
    assert choice_index(jnp.array(table)).tolist() == list(range(3**grippers))


@pytest.mark.parametrize(("action", "choice"), [(0.95, 2), (-0.95, 0), (0.6, 2), (-0.6, 0), (0.3, 1), (-0.3, 1)])
def test_choice_index_rounds_gripper_actions(action: float, choice: int) -> None:
    assert choice_index(jnp.array([[action]])).tolist() == [choice]
