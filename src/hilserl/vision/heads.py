"""What is learned on top of frozen features: one small head a camera, and the observation encoder that joins them.

A head costs, a camera: `embeddings` weighted sums of the feature map for each channel (spatial learned embeddings,
SERL, arXiv 2401.16013), one linear layer to `width`, layer norm and tanh. The sums keep *where* something is in 8 x 8
cells; the bottleneck keeps the networks behind it small.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from hilserl.experience import ExperienceSpec
from hilserl.vision.frames import FrameEncoder

STATE_CLIP = 10.0


class CameraHead(eqx.Module):
    """From one camera's feature map to `width` numbers in (-1, 1)."""

    kernel: Float[Array, "rows columns channels embeddings"]
    weight: Float[Array, "flat width"]
    norm_scale: Float[Array, "width"]
    norm_bias: Float[Array, "width"]

    def __init__(self, shape: tuple[int, int, int], embeddings: int, width: int, *, key: PRNGKeyArray) -> None:
        kernel_key, weight_key = jax.random.split(key)
        rows, columns, channels = shape
        self.kernel = jax.nn.initializers.lecun_normal(in_axis=(0, 1), out_axis=3, batch_axis=2)(
            kernel_key, (rows, columns, channels, embeddings), jnp.float32
        )
        self.weight = jax.nn.initializers.lecun_normal()(weight_key, (channels * embeddings, width), jnp.float32)
        self.norm_scale, self.norm_bias = jnp.ones(width), jnp.zeros(width)

    def __call__(self, features: Float[Array, "*batch rows columns channels"]) -> Float[Array, "*batch width"]:
        embedded = jnp.einsum("...hwc,hwck->...ck", features.astype(jnp.float32), self.kernel)
        x = embedded.reshape(*embedded.shape[:-2], -1) @ self.weight
        x = (x - x.mean(-1, keepdims=True)) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-6)
        return jnp.tanh(x * self.norm_scale + self.norm_bias)


class ObservationEncoder(eqx.Module):
    """One vector of all that is observed: the state in nominal ranges, then each camera's head in order."""

    centre: Float[Array, "state"]
    scale: Float[Array, "state"]
    heads: dict[str, CameraHead]

    def __init__(self, spec: ExperienceSpec, embeddings: int, width: int, *, key: PRNGKeyArray) -> None:
        self.centre, self.scale = jnp.array(spec.state.centre), jnp.array(spec.state.scale)
        shapes = FrameEncoder(spec).shapes
        keys = jax.random.split(key, max(1, len(shapes)))
        self.heads = {
            name: CameraHead(shape, embeddings, width, key=k)
            for (name, shape), k in zip(shapes.items(), keys, strict=False)
        }

    @property
    def size(self) -> int:
        """Numbers in the vector."""
        return self.centre.shape[0] + sum(head.norm_bias.shape[0] for head in self.heads.values())

    @property
    def names(self) -> tuple[str, ...]:
        """The parts of an observation that are looked at."""
        return ("state", *self.heads)

    def __call__(self, observation: dict[str, Float[Array, "..."]]) -> Float[Array, "*batch size"]:
        centre, scale = jax.lax.stop_gradient((self.centre, self.scale))
        state = jnp.clip((observation["state"] - centre) / scale, -STATE_CLIP, STATE_CLIP)
        return jnp.concatenate([state, *(head(observation[name]) for name, head in self.heads.items())], -1)
