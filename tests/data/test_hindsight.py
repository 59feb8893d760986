"""The future of each stored step is known once its episode has terminated; imitated actions look ahead."""

from collections.abc import Sequence

import numpy as np
import pytest

from hilserl.data.hindsight import ImitatedActions, Returns, motions_at_once
from hilserl.data.spec import ActionLayout

SUCCESS = np.array([7.0, 8.0], np.float32)


def written(rewards: list[float], discount: float = 0.5) -> Returns:
    returns = Returns(6, discount, 2)
    for row, reward in enumerate(rewards):
        returns.write(row, reward, 1)
    return returns


def test_returns_are_discounted_sums_of_what_followed() -> None:
    returns = written([0.0, 1.0, 2.0])
    returns.look_back(np.array([2, 1, 0]), None)
    np.testing.assert_allclose(returns.return_to_go[:3], [1.0, 2.0, 2.0])
    np.testing.assert_allclose(returns.changes_to_go[:3], [1.75, 1.5, 1.0])


def test_state_at_success_reaches_every_step_of_the_episode_and_no_other() -> None:
    returns = written([0.0, 0.0, 1.0, 0.0])
    returns.look_back(np.array([2, 1, 0]), SUCCESS)
    assert returns.succeeds.tolist() == [True, True, True, False, False, False]
    assert (returns.final_state[:3] == SUCCESS).all()
    assert not returns.final_state[3:].any()


def test_episode_that_terminated_otherwise_has_a_return_and_no_success() -> None:
    returns = written([0.0, 1.0])
    returns.look_back(np.array([1, 0]), None)
    assert np.isfinite(returns.return_to_go[:2]).all()
    assert not returns.succeeds.any()


def test_row_that_is_written_again_forgets_what_followed() -> None:
    returns = written([0.0, 1.0])
    returns.look_back(np.array([1, 0]), SUCCESS)
    returns.write(0, 3.0, 0)
    assert np.isneginf(returns.return_to_go[0])
    assert not returns.succeeds[0]
    assert not returns.final_state[0].any()
    assert returns.succeeds[1]


LAYOUT = ActionLayout(("x", "gripper", "y"), grippers=(1,))
RIGHT, UP, STILL, CLOSE = [0.2, 0, 0], [0, 0, 0.3], [0, 0, 0], [0.1, -1, 0]


def imitated(actions: Sequence[Sequence[float]], motions: int, operator: list[bool] | None = None) -> np.ndarray:
    """Return the imitated actions of an episode, whose reset is not in it."""
    column, leading = ImitatedActions(len(actions), LAYOUT, motions), ()
    for row, action in enumerate(actions):
        demonstrated = operator is None or operator[row]
        leading = column.write(
            row, np.array(action, np.float32), leading, demonstrated=demonstrated, ends=action[1] != 0
        )
    return column.gather(np.arange(len(actions)))


def test_imitated_actions_of_one_motion_are_what_was_done() -> None:
    actions = [RIGHT, UP, STILL, CLOSE, UP]
    np.testing.assert_array_equal(imitated(actions, 1), np.array(actions, np.float32))


def test_imitated_actions_make_the_next_motions_at_once() -> None:
    """Axes that were moved one after the other are moved together, across a rest."""
    found = imitated([RIGHT, STILL, UP, RIGHT, UP], 2)
    np.testing.assert_allclose(found[[0, 2, 3]], [[0.2, 0, 0.3]] * 3, atol=1e-6)
    assert not found[1].any(), "a rest leads nowhere"


def test_imitated_actions_go_on_where_motions_are_missing() -> None:
    """The last motion before a success is a push, which did not end because it was enough."""
    np.testing.assert_allclose(imitated([UP], 3)[0], [0, 0, 0.9], atol=1e-6)


def test_imitated_actions_cancel_motions_to_both_sides_and_stay_in_bounds() -> None:
    np.testing.assert_allclose(imitated([RIGHT, [-0.2, 0, 0], UP], 3)[0], [0, 0, 0.3], atol=1e-6)
    assert imitated([[0.5, 0, -0.5]] * 4, 4)[0].tolist() == [1, 0, -1]


def test_imitated_actions_do_not_look_beyond_a_gripper_or_another_hand() -> None:
    found = imitated([RIGHT, CLOSE, UP], 2)
    np.testing.assert_allclose(found, [[0.4, 0, 0], CLOSE, [0, 0, 0.6]], atol=1e-6)
    found = imitated([RIGHT, UP, UP], 2, operator=[True, False, True])
    np.testing.assert_allclose(found[0], [0.4, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("actions", "motions"),
    [([RIGHT, UP, STILL, CLOSE], 2), ([[0.2, 0, 0.3], [0.5, 1, -0.5]], 1), ([STILL], 1), ([], 1)],
)
def test_motions_at_once_are_the_axes_by_those_moved_together(actions: Sequence[Sequence[float]], motions: int) -> None:
    assert motions_at_once([np.array(action) for action in actions], LAYOUT) == motions
