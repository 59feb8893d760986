"""What happens to frames between the camera and the trained heads: encoding, once or in every update, and shifting."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float16, PRNGKeyArray, UInt8

from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.vision.encoders import FROZEN, EncoderName, feature_shape

FEATURE_DTYPE = np.float16


@dataclass(frozen=True)
class VisionConfig:
    """How camera images become what the networks see."""

    encoder: EncoderName = "efficientnet_lite0"
    """A frozen, pretrained encoder, or the small CNN that is trained with the heads."""
    encode: Literal["once", "every_update"] = "once"
    """Encode each frame when it is seen and keep its features, or keep the frame and encode it, shifted, in every
    update: what HIL-SERL does, for a GPU. The small CNN knows only the latter."""
    shift_px: int = 4
    """Frames encoded in an update are shifted at random by up to this (DrQ, arXiv 2004.13649)."""
    noise: float = 0.2
    """Noise on the features in updates, as a part of how much a channel varies: what shifts are for, without frames."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """In which a frozen encoder computes; bfloat16 is for a GPU."""
    embeddings: int = 4
    """Weighted sums of a camera's feature map for each of its channels."""
    width: int = 64
    """Numbers that each camera contributes to what the networks see."""
    proprio_width: int = 0
    """Numbers that the state contributes, through a layer of its own; 0 leaves it as it is, in nominal ranges."""

    def __post_init__(self) -> None:
        for name, least in (("shift_px", 0), ("noise", 0), ("embeddings", 1), ("width", 1), ("proprio_width", 0)):
            if getattr(self, name) < least:
                raise HilserlError(f"vision.{name} must be at least {least}, got {getattr(self, name)}.")

    @property
    def frozen(self) -> bool:
        return self.encoder in FROZEN

    @property
    def stores_images(self) -> bool:
        """Whether replay holds frames rather than features."""
        return self.encode == "every_update" or not self.frozen


class FrameEncoder:
    """All that is done to the frames of one spec, the same way by whoever acts and whoever learns."""

    def __init__(self, spec: ExperienceSpec, config: VisionConfig) -> None:
        self.config = config
        self.cameras = tuple(name for name, _ in spec.images)
        shapes = [feature_shape(config.encoder, height, width) for _, (height, width, _) in spec.images]
        self.inputs = dict(zip(map(self._input, self.cameras), shapes, strict=True))
        """What the heads look at: its name in an observation, and the shape of its features."""

    def __hash__(self) -> int:
        return hash((self.config, *self.inputs.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrameEncoder) and (self.config, self.inputs) == (other.config, other.inputs)

    def _input(self, camera: str) -> str:
        return f"{camera}.features" if self.config.frozen else camera

    @property
    def stored(self) -> dict[str, tuple[int, int, int]] | None:
        """The features that replay keeps, by name, with their shapes; None where it keeps the frames."""
        return None if self.config.stores_images else self.inputs

    def _encoded(self, frames: UInt8[Array, "batch height width 3"]) -> Float16[Array, "batch channels rows columns"]:
        encoder = FROZEN[self.config.encoder].load()
        if self.config.precision == "bfloat16":
            encoder = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), encoder)
        # Channels first, as the heads' matrix products want them: turning a batch around costs more than the products.
        return jnp.moveaxis(encoder(frames), -1, 1).astype(FEATURE_DTYPE)

    @cached_property
    def _compiled(self) -> Any:
        return jax.jit(self._encoded)

    def encode(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The observation with its features, float16, where a frozen encoder makes them; frames as they are, not
        shifted, all cameras in one pass."""
        if not self.cameras or not self.config.frozen or self.inputs.keys() <= observation.keys():
            return observation
        features = np.asarray(self._compiled(np.stack([observation[camera] for camera in self.cameras])))
        return observation | dict(zip(self.inputs, features, strict=True))

    def augment(self, observation: dict[str, Array], key: PRNGKeyArray) -> dict[str, Array]:
        """What an update looks at, of a batch as replay holds it: where that is frames, they are shifted, each by
        itself, and encoded. Traced into the update."""
        if not self.config.stores_images:
            return observation
        prepared = dict(observation)
        for number, (camera, name) in enumerate(zip(self.cameras, self.inputs, strict=True)):
            frames = random_shift(prepared.pop(camera), self.config.shift_px, jax.random.fold_in(key, number))
            prepared[name] = self._encoded(frames) if self.config.frozen else frames
        return prepared


def random_shift(
    frames: UInt8[Array, "batch height width 3"], reach_px: int, key: PRNGKeyArray
) -> UInt8[Array, "batch height width 3"]:
    """Each frame shifted by up to `reach_px` up or down and left or right; its border is repeated."""
    if not reach_px:
        return frames
    batch, *shape = frames.shape
    padded = jnp.pad(frames, ((0, 0), (reach_px, reach_px), (reach_px, reach_px), (0, 0)), "edge")
    corners = jax.random.randint(key, (batch, 2), 0, 2 * reach_px + 1)
    return jax.vmap(lambda frame, corner: jax.lax.dynamic_slice(frame, (*corner, 0), shape))(padded, corners)
