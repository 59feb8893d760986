"""The future of each stored step is known once its episode has terminated, and only then."""

import numpy as np

from hilserl.data.returns import Returns

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
