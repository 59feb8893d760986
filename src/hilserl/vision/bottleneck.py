"""Layer that keeps the networks behind it small."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

STATE_CLIP = 10.0
"""Bound on state and features, in units of their nominal ranges."""


class Bottleneck(eqx.Module):
    """Linear layer, layer norm and tanh, with outputs in (-1, 1)."""

    weight: Float[Array, "inputs width"]
    norm_scale: Float[Array, "width"]
    norm_bias: Float[Array, "width"]

    def __init__(self, inputs: int, width: int, *, key: PRNGKeyArray) -> None:
        self.weight = jax.nn.initializers.lecun_normal()(key, (inputs, width), jnp.float32)
        self.norm_scale, self.norm_bias = jnp.ones(width), jnp.zeros(width)

    def __call__(
        self, x: Float[Array, "*batch inputs"], noise: float = 0.0, key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch width"]:
        """Compute the layer on any leading axes.

        Args:
            x: the inputs.
            noise: standard deviation of the noise on each input.
            key: random key of the noise; None for no noise.
        """
        x = x @ self.weight
        if key is not None and noise:
            # A sum of noisy inputs is noisy: noise on the sums is fewer numbers (arXiv 1506.02557).
            x += noise * jnp.sqrt((self.weight**2).sum(0)) * jax.random.normal(key, x.shape)
        x = (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-6)
        return jnp.tanh(x * self.norm_scale + self.norm_bias)
