"""Image processing between camera and heads: encoding and random shifts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float16, PRNGKeyArray, Shaped, UInt8

from hilserl.data.spec import ExperienceSpec
from hilserl.settings import AtLeastOne, Count, NotNegative, check_settings
from hilserl.vision.dct import low_frequencies
from hilserl.vision.encoders import FROZEN, EncoderName, map_shape

FEATURE_DTYPE = np.float16


@dataclass(frozen=True)
class VisionConfig:
    """Settings of the image encoder and the camera heads."""

    encoder: EncoderName = "efficientnet_lite0"
    """Frozen pretrained encoder, or the small CNN, which is trained."""
    encode: Literal["once", "every_update"] = "once"
    """Encode each image once, or in every update.

    `once` keeps the features of each image. `every_update` keeps the image, and shifts and encodes it in every update,
    as HIL-SERL does; it is for a GPU. The small CNN always works so."""
    shift_px: Count = 4
    """Largest random shift of images in updates (DrQ, arXiv 2004.13649)."""
    noise: NotNegative = 1.0
    """Noise on features in updates, relative to their deviation.

    It does for features what shifts do for images."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Number format of a frozen encoder; bfloat16 is for a GPU."""
    frequencies: AtLeastOne | None = 5
    """Bound on the spatial frequencies kept of a frozen encoder's channels.

    Of rows and columns together they are fewer than this number: 5 keeps 15 numbers of each channel. None keeps the
    whole feature map."""
    embeddings: AtLeastOne = 4
    """Weighted sums of a whole feature map for each of its channels."""
    width: AtLeastOne = 64
    """Numbers that each camera contributes to the networks' input."""
    goal_prediction: bool = True
    """Predict the state at success, and show it to policy and critics.

    It is learned from every episode that succeeded."""
    proprio_width: Count = 0
    """Numbers that the state contributes; 0 passes it on directly.

    More than 0 adds a layer for the state, which is in nominal ranges in both cases."""

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def frozen(self) -> bool:
        """True if the encoder is pretrained and never updated."""
        return self.encoder in FROZEN

    @property
    def kept_frequencies(self) -> int | None:
        """Bound on the frequencies kept; None for the whole map."""
        return self.frequencies if self.frozen else None

    @property
    def stores_images(self) -> bool:
        """True if replay holds images, False if it holds features."""
        return self.encode == "every_update" or not self.frozen


class FrameEncoder:
    """Encoding of one spec's camera images, the same for actor and learner.

    Attributes:
        config: the settings.
        cameras: names of the cameras, in the spec's order.
        inputs: the heads' inputs by their names in an observation, with the shape of their features: channels and
            frequencies, or channels, rows and columns of a whole map.
    """

    def __init__(self, spec: ExperienceSpec, config: VisionConfig) -> None:
        self.config = config
        self.cameras = tuple(name for name, _ in spec.images)
        shapes = [self._shape(height, width) for _, (height, width, _) in spec.images]
        self.inputs = dict(zip(map(self._input, self.cameras), shapes, strict=True))

    def __hash__(self) -> int:
        return hash((self.config, *self.inputs.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameEncoder) and (self.config, self.inputs) == (other.config, other.inputs)

    def _shape(self, height: int, width: int) -> tuple[int, ...]:
        channels, rows, columns = map_shape(self.config.encoder, height, width)
        if (bound := self.config.kept_frequencies) is None:
            return channels, rows, columns
        return channels, low_frequencies(rows, columns, bound).shape[1]

    def _input(self, camera: str) -> str:
        return f"{camera}.features" if self.config.frozen else camera

    @property
    def stored(self) -> dict[str, tuple[int, ...]] | None:
        """Names and shapes of stored features; None if replay stores images."""
        return None if self.config.stores_images else self.inputs

    def _features(self, images: UInt8[Any, "batch height width 3"]) -> Float16[Array, "batch channels *cells"]:
        encoder = FROZEN[self.config.encoder].load()
        if self.config.precision == "bfloat16":
            encoder = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), encoder)
        # Channels first, as the heads' matrix products need them: a batch's transposition costs more than the products.
        features = jnp.moveaxis(encoder(images), -1, 1)
        if (bound := self.config.kept_frequencies) is not None:
            batch, channels, rows, columns = features.shape
            waves = jnp.asarray(low_frequencies(rows, columns, bound), features.dtype)
            features = features.reshape(batch, channels, rows * columns) @ waves
        return features.astype(FEATURE_DTYPE)

    @cached_property
    def _compiled(self) -> Any:
        return jax.jit(self._features)

    def encode(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Add the features of a frozen encoder to an observation.

        All cameras are encoded in one pass, without shifts. An observation that has its features, or an encoder that is
        trained, returns the observation itself.

        Args:
            observation: state, and images uint8 [height, width, 3] by camera.

        Returns:
            The observation with float16 of the shape in `inputs` for each of its names.
        """
        if not self.cameras or not self.config.frozen or self.inputs.keys() <= observation.keys():
            return observation
        features = np.asarray(self._compiled(np.stack([observation[camera] for camera in self.cameras])))
        return observation | dict(zip(self.inputs, features, strict=True))

    def augment(
        self, observation: dict[str, Shaped[Any, "batch ..."]], key: PRNGKeyArray
    ) -> dict[str, Shaped[Any, "batch ..."]]:
        """Shift and encode a batch's images, where replay stores images.

        Features are returned as they are. The update's compiled function contains this.

        Args:
            observation: a batch as replay stores it.
            key: random key of the shifts, one shift for each image.
        """
        if not self.config.stores_images:
            return observation
        augmented = dict(observation)
        for number, (camera, name) in enumerate(zip(self.cameras, self.inputs, strict=True)):
            images = random_shift(augmented.pop(camera), self.config.shift_px, jax.random.fold_in(key, number))
            augmented[name] = self._features(images) if self.config.frozen else images
        return augmented


def random_shift(
    images: UInt8[Any, "batch height width 3"], reach_px: int, key: PRNGKeyArray
) -> UInt8[Any, "batch height width 3"]:
    """Shift each image at random and repeat its border.

    Both axes are shifted, each by -`reach_px` to `reach_px` (DrQ, arXiv 2004.13649).
    """
    if not reach_px:
        return images
    batch, *shape = images.shape
    padded = jnp.pad(images, ((0, 0), (reach_px, reach_px), (reach_px, reach_px), (0, 0)), "edge")
    corners = jax.random.randint(key, (batch, 2), 0, 2 * reach_px + 1)
    return jax.vmap(lambda image, corner: jax.lax.dynamic_slice(image, (*corner, 0), shape))(padded, corners)
