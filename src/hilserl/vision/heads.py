"""Trained camera heads, and the encoder of a whole observation.

A head of low frequencies standardises them; a head of a whole map computes `embeddings` weighted sums for each channel
(spatial learned embeddings, SERL, arXiv 2401.16013). A linear layer to `width`, layer norm and tanh follow: this
bottleneck keeps the networks behind it small.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.vision.bottleneck import STATE_CLIP, Bottleneck
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from hilserl.vision.goal_head import GoalHead
from hilserl.vision.small_cnn import SmallCNN

_LEAST_SCALE = 0.05
_GOAL_KEY = 1


class FrequencyHead(eqx.Module):
    """Head of one camera, from low frequencies to `width` numbers."""

    centre: Float[Array, "numbers"]
    scale: Float[Array, "numbers"]
    bottleneck: Bottleneck
    noise: float = eqx.field(static=True)
    """Standard deviation of the noise on standardised features."""

    def __init__(self, shape: tuple[int, ...], config: VisionConfig, *, key: PRNGKeyArray) -> None:
        numbers = shape[0] * shape[1]
        self.centre, self.scale = jnp.zeros(numbers), jnp.ones(numbers)
        self.bottleneck = Bottleneck(numbers, config.width, key=key)
        self.noise = config.noise

    def standardised(self, inputs: Shaped[Any, "batch _ _"]) -> "FrequencyHead":
        """Return the head with the mean and deviation of some features."""
        x = jnp.asarray(inputs, jnp.float32).reshape(len(inputs), -1)
        scale = x.std(0)
        # A number that hardly changes in these images says nothing about how much it will.
        scale = jnp.where(scale.mean() > 0, jnp.maximum(scale, _LEAST_SCALE * scale.mean()), 1.0)
        return eqx.tree_at(lambda h: (h.centre, h.scale), self, (x.mean(0), scale))

    def __call__(self, inputs: Shaped[Any, "*batch _ _"], key: PRNGKeyArray | None) -> Float[Array, "*batch width"]:
        """Compute the head on any leading axes.

        Args:
            inputs: features, float16 [*batch, channels, frequencies].
            key: random key of the noise on each feature; None for no noise.
        """
        centre, scale = jax.lax.stop_gradient((self.centre, self.scale))
        x = (inputs.reshape(*inputs.shape[:-2], -1).astype(jnp.float32) - centre) / scale
        x = jnp.clip(x, -STATE_CLIP, STATE_CLIP)
        return self.bottleneck(x, self.noise, key)


class CameraHead(eqx.Module):
    """Head of one camera: from its whole feature map to `width` numbers.

    If the encoder is trained too, the head contains it and its input is the image.
    """

    trunk: SmallCNN | None
    kernel: Float[Array, "channels cells embeddings"]
    bottleneck: Bottleneck
    noise: float = eqx.field(static=True)
    """Standard deviation of the noise, as a fraction of the channel's."""

    def __init__(self, shape: tuple[int, ...], config: VisionConfig, *, key: PRNGKeyArray) -> None:
        kernel_key, bottleneck_key, trunk_key = jax.random.split(key, 3)
        channels, rows, columns = shape
        self.trunk = None if config.frozen else SmallCNN(key=trunk_key)
        self.kernel = jax.nn.initializers.lecun_normal(in_axis=1, out_axis=2, batch_axis=0)(
            kernel_key, (channels, rows * columns, config.embeddings), jnp.float32
        )
        self.bottleneck = Bottleneck(channels * config.embeddings, config.width, key=bottleneck_key)
        self.noise = config.noise

    def __call__(self, inputs: Shaped[Any, "*batch _ _ _"], key: PRNGKeyArray | None) -> Float[Array, "*batch width"]:
        """Compute the head on any leading axes.

        Args:
            inputs: features, float16 [*batch, channels, rows, columns], or images, uint8 [*batch, height, width, 3].
            key: random key of the noise on each feature, in proportion to its channel's standard deviation in the
                batch; None for no noise.
        """
        batch = inputs.shape[:-3]
        x = inputs.reshape(-1, *inputs.shape[-3:])
        x = x if self.trunk is None else jnp.moveaxis(self.trunk(x), -1, 1)
        # One transposition for all products: without the barrier XLA transposes for each product, an element at a time.
        x = jax.lax.optimization_barrier(jnp.moveaxis(x.reshape(-1, *self.kernel.shape[:2]), 1, 0))
        x = x.astype(jnp.float32)
        embedded = jnp.einsum("cbs,csk->bck", x, self.kernel)
        if key is not None and self.noise:
            # A sum of noisy features is noisy: noise on the sum is `cells` times fewer numbers (arXiv 1506.02557).
            spread = x.std((1, 2))[:, None] * jnp.sqrt((self.kernel**2).sum(1))
            embedded += self.noise * spread * jax.random.normal(key, embedded.shape)
        return self.bottleneck(embedded.reshape(*batch, -1))


class ObservationEncoder(eqx.Module):
    """Encoder of a whole observation as one vector.

    The vector holds the state in nominal ranges, directly or through a layer, then each camera's numbers, then the
    predicted change of the state until success.
    """

    centre: Float[Array, "state"]
    scale: Float[Array, "state"]
    proprio: Bottleneck | None
    """Layer for the state; None passes the state on directly."""
    heads: dict[str, FrequencyHead | CameraHead]
    """Heads by the name of their input in an observation."""
    goal: GoalHead | None
    """Prediction of the state at success; None without it."""

    def __init__(self, spec: ExperienceSpec, frame_encoder: FrameEncoder, *, key: PRNGKeyArray) -> None:
        self.centre, self.scale = jnp.array(spec.state.centre), jnp.array(spec.state.scale)
        width = frame_encoder.config.proprio_width
        proprio_key, *keys = jax.random.split(key, 1 + len(frame_encoder.inputs))
        self.proprio = Bottleneck(spec.state.size, width, key=proprio_key) if width else None
        make_head = CameraHead if frame_encoder.config.kept_frequencies is None else FrequencyHead
        self.heads = {
            name: make_head(shape, frame_encoder.config, key=k)
            for (name, shape), k in zip(frame_encoder.inputs.items(), keys, strict=True)
        }
        self.goal = None
        if frame_encoder.config.goal_prediction and self.heads:
            self.goal = GoalHead(self.size, spec.state.size, key=jax.random.fold_in(key, _GOAL_KEY))

    @property
    def size(self) -> int:
        """Length of the vector."""
        parts = [head.bottleneck for head in self.heads.values()]
        own = self.centre.shape[0] if self.proprio is None else self.proprio.norm_bias.shape[0]
        goal = 0 if self.goal is None else self.goal.size
        return own + sum(part.norm_bias.shape[0] for part in parts) + goal

    def standardised(self, observation: dict[str, Shaped[Any, "batch ..."]]) -> "ObservationEncoder":
        """Return the encoder with the mean and deviation of these features."""
        heads = {
            name: head.standardised(observation[name]) if isinstance(head, FrequencyHead) else head
            for name, head in self.heads.items()
        }
        return eqx.tree_at(lambda e: e.heads, self, heads)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the observation's entries that the encoder reads."""
        return ("state", *self.heads)

    def __call__(
        self, observation: dict[str, Shaped[Any, "..."]], key: PRNGKeyArray | None = None
    ) -> Float[Array, "*batch size"]:
        """Encode observations with any leading axes.

        Args:
            observation: state and the heads' inputs by name.
            key: random key of the noise on camera features, for learning; None for no noise, for acting.
        """
        seen = self._seen(observation, key)
        if self.goal is None:
            return seen
        # The noise that keeps the cameras' numbers general would hide where the goal is.
        clear = seen if key is None else self._seen(observation, None)
        return jnp.concatenate([seen, self.goal.show(clear)], -1)

    def _seen(
        self, observation: dict[str, Shaped[Any, "..."]], key: PRNGKeyArray | None
    ) -> Float[Array, "*batch numbers"]:
        """Encode state and cameras, without the prediction."""
        centre, scale = jax.lax.stop_gradient((self.centre, self.scale))
        state = jnp.clip((observation["state"] - centre) / scale, -STATE_CLIP, STATE_CLIP)
        own = state if self.proprio is None else self.proprio(state)
        keys = [None] * len(self.heads) if key is None else jax.random.split(key, max(1, len(self.heads)))
        cameras = [head(observation[name], k) for (name, head), k in zip(self.heads.items(), keys, strict=False)]
        return jnp.concatenate([own, *cameras], -1)

    def goal_loss(self, features: Float[Array, "batch size"], batch: Transitions) -> Float[Array, ""] | None:
        """Compute the loss of the prediction; None without one.

        Args:
            features: this encoder's vectors of the batch's observations.
            batch: transitions with one leading axis.
        """
        if self.goal is None:
            return None
        change = (batch.final_state - batch.observation["state"]) / self.scale
        return self.goal.loss(features[:, : -self.goal.size], change, batch.succeeds)
