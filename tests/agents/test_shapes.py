"""The tests check types and array shapes in signatures at every call."""

import jax
import jax.numpy as jnp
import pytest

from hilserl.agents.gripper import count_changes
from hilserl.vision.frame_encoder import random_shift


def test_wrong_shape_is_an_error() -> None:
    with pytest.raises(Exception, match="actions"):
        count_changes(jnp.zeros((2, 1)), jnp.zeros((3, 1)))


def test_wrong_dtype_is_an_error() -> None:
    with pytest.raises(Exception, match="images"):
        random_shift(jnp.zeros((1, 8, 8, 3)), 1, jax.random.key(0))
