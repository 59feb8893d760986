"""The tests check types and array shapes in signatures at every call."""

import jax
import jax.numpy as jnp
import pytest

from hilserl.agents.networks import critic_ensemble, ensemble_values
from hilserl.vision.frame_encoder import random_shift


def test_wrong_shape_is_an_error() -> None:
    critics = critic_ensemble(2, 5, (4,), key=jax.random.key(0))
    with pytest.raises(Exception, match="action"):
        ensemble_values(critics, jnp.zeros((2, 3)), jnp.zeros((3, 2)))


def test_wrong_dtype_is_an_error() -> None:
    with pytest.raises(Exception, match="images"):
        random_shift(jnp.zeros((1, 8, 8, 3)), 1, jax.random.key(0))
