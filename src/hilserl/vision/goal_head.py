"""Prediction of the state in which an episode will succeed.

Values tell a camera head slowly where an object is: a sparse reward reaches the steps far from it through many targets.
Every successful episode also says where it ended, whoever drove it and however long that took. The head learns this by
regression from all their steps (a hindsight goal, as in arXiv 1707.01495), and policy and critics see its prediction.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hilserl.vision.bottleneck import STATE_CLIP, Bottleneck

_WIDTH = 128
_FINE, _FINE_CLIP = 8.0, 3.0
"""Scale and bound of the prediction's second copy.

A grasp is a matter of a centimetre, a nominal range of some 20 cm."""


class GoalHead(eqx.Module):
    """Two layers that predict the change of the state until success."""

    hidden: Bottleneck
    weight: Float[Array, "width state"]

    def __init__(self, inputs: int, state: int, *, key: PRNGKeyArray) -> None:
        hidden_key, weight_key = jax.random.split(key)
        self.hidden = Bottleneck(inputs, _WIDTH, key=hidden_key)
        self.weight = 0.1 * jax.nn.initializers.lecun_normal()(weight_key, (_WIDTH, state), jnp.float32)

    @property
    def size(self) -> int:
        """Length of what `show` returns."""
        return 2 * self.weight.shape[1]

    def __call__(self, encoded: Float[Array, "*batch inputs"]) -> Float[Array, "*batch state"]:
        """Predict the change of the state until success, in nominal ranges."""
        return self.hidden(encoded) @ self.weight

    def show(self, encoded: Float[Array, "*batch inputs"]) -> Float[Array, "*batch size"]:
        """Return the prediction at two scales, without gradients."""
        change = jax.lax.stop_gradient(self(encoded))
        return jnp.concatenate([change, jnp.clip(_FINE * change, -_FINE_CLIP, _FINE_CLIP)], -1)

    def loss(
        self, encoded: Float[Array, "batch inputs"], change: Float[Array, "batch state"], known: Any
    ) -> Float[Array, ""]:
        """Average the absolute error of the prediction where the change is known.

        Args:
            encoded: encoded observations, with noise.
            change: change of the state until success, in nominal ranges.
            known: True where the episode ended in success, bool [batch].
        """
        error = jnp.abs(self(encoded) - jnp.clip(change, -STATE_CLIP, STATE_CLIP)).mean(-1)
        return jnp.where(known, error, 0.0).sum() / jnp.maximum(1, known.sum())
