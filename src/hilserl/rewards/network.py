"""The classifier's network: a head of its own for each camera, one hidden layer, a logit for each class but the first.

The class that needs no logit has 0: with two classes the softmax is a sigmoid.
"""

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from hilserl.errors import HilserlError
from hilserl.vision.encoders import EncoderName
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from hilserl.vision.heads import CameraHead


@dataclass(frozen=True)
class ClassifierConfig:
    """What is trained, and how."""

    encoder: EncoderName = "efficientnet_lite0"
    """A frozen, pretrained encoder, or the small CNN that is trained with the heads."""
    noise: float = 0.2
    """Noise on a frozen encoder's features in updates, as a part of how much a channel varies."""
    shift_px: int = 4
    """Frames that the small CNN looks at in updates are shifted at random by up to this."""
    embeddings: int = 4
    """Weighted sums of a camera's feature map for each of its channels."""
    width: int = 64
    """Numbers that each camera contributes."""
    hidden: int = 256
    dropout: float = 0.1
    proprioception: float = 10.0
    """Weight of a second thing to learn: what the robot measured of itself, from the images alone. It teaches the heads
    where the hand is from every image, not only from those near success; nothing of it is asked when judging."""
    classes: int = 2
    """More than two are the stages of a task, told by the steps' rewards; the last one is success."""
    batch_size: int = 256
    """Images of an update, as many of each class."""
    learning_rate: float = 1e-3
    max_updates: int = 3_000
    check_every: int = 50
    """Updates between looks at the validation episodes."""
    patience: int = 15
    """Looks without a lower validation loss before training ends."""
    validation: float = 0.2
    """Part of the episodes that decide when to stop, the calibration and the threshold."""
    test: float = 0.2
    """Part of the episodes that the report is about."""
    false_positive_rate: float = 0.001
    """How many of the images without success may be taken for one."""

    def __post_init__(self) -> None:
        for name, least in (("embeddings", 1), ("width", 1), ("hidden", 1), ("classes", 2), ("max_updates", 1),
                            ("check_every", 1), ("patience", 1), ("noise", 0), ("shift_px", 0)):  # fmt: skip
            if getattr(self, name) < least:
                raise HilserlError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        if self.batch_size < self.classes:
            raise HilserlError(f"batch_size must be at least classes={self.classes}, got {self.batch_size}.")
        for name in ("dropout", "false_positive_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise HilserlError(f"{name} must lie in [0, 1), got {getattr(self, name)}.")
        if min(self.validation, self.test) <= 0 or self.validation + self.test >= 1:
            raise HilserlError(
                f"validation={self.validation} and test={self.test} must be positive and leave something to learn from."
            )

    @property
    def vision(self) -> VisionConfig:
        return VisionConfig(
            self.encoder, shift_px=self.shift_px, noise=self.noise, embeddings=self.embeddings, width=self.width
        )


class ClassifierNetwork(eqx.Module):
    """Features of all cameras to logits (HIL-SERL, arXiv 2410.21845: hidden layer 256, dropout 0.1, layer norm)."""

    heads: dict[str, CameraHead]
    hidden: eqx.nn.Linear
    norm: eqx.nn.LayerNorm
    output: eqx.nn.Linear
    proprioception: eqx.nn.Linear
    dropout: float = eqx.field(static=True)

    def __init__(self, frames: FrameEncoder, numbers: int, config: ClassifierConfig, *, key: PRNGKeyArray) -> None:
        hidden_key, output_key, state_key, *keys = jax.random.split(key, 3 + len(frames.inputs))
        self.heads = {
            name: CameraHead(shape, frames.config, key=k)
            for (name, shape), k in zip(frames.inputs.items(), keys, strict=True)
        }
        self.hidden = eqx.nn.Linear(config.width * len(self.heads), config.hidden, key=hidden_key)
        self.norm = eqx.nn.LayerNorm(config.hidden)
        self.output = eqx.nn.Linear(config.hidden, config.classes - 1, key=output_key)
        self.proprioception = eqx.nn.Linear(config.hidden, numbers, key=state_key)
        self.dropout = config.dropout

    def __call__(self, observation: dict[str, Array]) -> Float[Array, "batch classes"]:
        """Logits, the first of them 0."""
        return self.learn(observation, None)[0]

    def learn(
        self, observation: dict[str, Array], key: PRNGKeyArray | None
    ) -> tuple[Float[Array, "batch classes"], Float[Array, "batch numbers"]]:
        """Logits, and what the robot would measure of itself. The key decides noise on what is seen, and dropout."""
        noise_key, dropout_key = (None, None) if key is None else jax.random.split(key)
        keys = [None] * len(self.heads) if noise_key is None else jax.random.split(noise_key, len(self.heads))
        cameras = [head(observation[name], k) for (name, head), k in zip(self.heads.items(), keys, strict=True)]
        x = jax.nn.relu(jax.vmap(self.norm)(jax.vmap(self.hidden)(jnp.concatenate(cameras, -1))))
        measured = jax.vmap(self.proprioception)(x)
        if dropout_key is not None and self.dropout:
            kept = jax.random.bernoulli(dropout_key, 1 - self.dropout, x.shape)
            x = jnp.where(kept, x / (1 - self.dropout), 0.0)
        return jnp.pad(jax.vmap(self.output)(x), ((0, 0), (1, 0))), measured

    def rescaled(self, scale: float, bias: Float[np.ndarray, "others"]) -> "ClassifierNetwork":
        """The same with its logits times `scale` plus `bias`."""
        weight, old = self.output.weight, self.output.bias
        assert old is not None
        return eqx.tree_at(lambda n: (n.output.weight, n.output.bias), self, (scale * weight, scale * old + bias))
