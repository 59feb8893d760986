"""Network of the classifier: camera heads, then one hidden layer.

Each class but the first has a logit; that of the first is 0. With two classes the softmax is a sigmoid.
"""

from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from hilserl.errors import HilserlError
from hilserl.vision.encoders import EncoderName
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from hilserl.vision.heads import CameraHead


@dataclass(frozen=True)
class ClassifierConfig:
    """Settings of a classifier and its training."""

    encoder: EncoderName = "efficientnet_lite0"
    """Frozen pretrained encoder, or the small CNN, which is trained."""
    noise: float = 0.2
    """Noise on features in updates, relative to each channel's deviation."""
    shift_px: int = 4
    """Largest random shift of the small CNN's images in updates."""
    embeddings: int = 4
    """Weighted sums of a camera's feature map for each of its channels."""
    width: int = 64
    """Numbers that each camera contributes."""
    hidden: int = 256
    """Width of the hidden layer."""
    dropout: float = 0.1
    """Fraction of the hidden layer that each update drops."""
    proprioception: float = 10.0
    """Weight of a second task: to estimate the robot's state.

    It is estimated from the images alone. This teaches the heads the position of the gripper with every image, not only
    with those near success. Predictions do not use it."""
    classes: int = 2
    """Number of classes; the last one is success.

    More than two are the stages of a task, which the steps' rewards give."""
    batch_size: int = 256
    """Images of an update, equally many of each class."""
    learning_rate: float = 1e-3
    """Step size of Adam."""
    max_updates: int = 3_000
    """Updates after which training ends in any case."""
    check_every: int = 50
    """Updates between measurements of the validation loss."""
    patience: int = 15
    """Measurements without a lower validation loss before training ends."""
    validation: float = 0.2
    """Fraction of episodes that decide the stop, the calibration and the threshold."""
    test: float = 0.2
    """Fraction of episodes for the report."""
    false_positive_rate: float = 0.001
    """Allowed fraction of images without success that are predicted as success."""

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
                f"validation={self.validation} and test={self.test} must be positive and leave episodes to learn from."
            )

    @property
    def vision(self) -> VisionConfig:
        """Settings of the image encoder and the camera heads."""
        return VisionConfig(
            self.encoder,
            shift_px=self.shift_px,
            noise=self.noise,
            frequencies=None,
            embeddings=self.embeddings,
            width=self.width,
        )


class ClassifierNetwork(eqx.Module):
    """Network from all cameras' features to logits.

    Hidden layer of 256, dropout of 0.1 and layer norm are those of HIL-SERL (arXiv 2410.21845).
    """

    heads: dict[str, CameraHead]
    hidden: eqx.nn.Linear
    norm: eqx.nn.LayerNorm
    output: eqx.nn.Linear
    proprioception: eqx.nn.Linear
    dropout: float = eqx.field(static=True)

    def __init__(self, encoder: FrameEncoder, numbers: int, config: ClassifierConfig, *, key: PRNGKeyArray) -> None:
        hidden_key, output_key, state_key, *keys = jax.random.split(key, 3 + len(encoder.inputs))
        self.heads = {
            name: CameraHead(shape, encoder.config, key=k)
            for (name, shape), k in zip(encoder.inputs.items(), keys, strict=True)
        }
        self.hidden = eqx.nn.Linear(config.width * len(self.heads), config.hidden, key=hidden_key)
        self.norm = eqx.nn.LayerNorm(config.hidden)
        self.output = eqx.nn.Linear(config.hidden, config.classes - 1, key=output_key)
        self.proprioception = eqx.nn.Linear(config.hidden, numbers, key=state_key)
        self.dropout = config.dropout

    def __call__(self, observation: dict[str, Shaped[Any, "batch ..."]]) -> Float[Array, "batch classes"]:
        """Compute the logits, the first of which is 0."""
        return self.learn(observation, None)[0]

    def learn(
        self, observation: dict[str, Shaped[Any, "batch ..."]], key: PRNGKeyArray | None
    ) -> tuple[Float[Array, "batch classes"], Float[Array, "batch numbers"]]:
        """Compute the logits, and an estimate of the robot's measured state.

        Args:
            observation: the heads' inputs by name.
            key: random key of feature noise and dropout; None for neither.
        """
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
        """Return the network with its logits times `scale` plus `bias`."""
        weight, old = self.output.weight, self.output.bias
        assert old is not None
        return eqx.tree_at(lambda n: (n.output.weight, n.output.bias), self, (scale * weight, scale * old + bias))
