"""Each frame is encoded once: cameras in, features out, and from there on nobody convolves."""

from functools import cached_property
from typing import Any

import jax
import numpy as np

from hilserl.experience import ExperienceSpec
from hilserl.vision import efficientnet

FEATURE_DTYPE = np.float16


def feature_name(camera: str) -> str:
    """Under which name an observation carries a camera's features."""
    return f"{camera}.features"


class FrameEncoder:
    """Adds the frozen encoder's features to observations, all cameras of one observation in one pass.

    Features are float16 [rows, columns, channels], rows and columns a sixteenth of the frame's. Without cameras an
    observation stays as it is.
    """

    def __init__(self, spec: ExperienceSpec) -> None:
        self.cameras = tuple(name for name, _ in spec.images)
        self._shapes = {
            name: (
                -(-shape[0] // efficientnet.STRIDE),
                -(-shape[1] // efficientnet.STRIDE),
                efficientnet.FEATURE_CHANNELS,
            )
            for name, shape in spec.images
        }

    @property
    def shapes(self) -> dict[str, tuple[int, int, int]]:
        """The features' shapes by their name in the observation."""
        return {feature_name(camera): shape for camera, shape in self._shapes.items()}

    @cached_property
    def _encode(self) -> Any:
        encoder = efficientnet.load()
        return jax.jit(lambda frames: encoder(frames).astype(FEATURE_DTYPE))

    def observe(self, observation: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The observation with its features."""
        if not self.cameras:
            return observation
        features = np.asarray(self._encode(np.stack([observation[camera] for camera in self.cameras])))
        return observation | {feature_name(c): f for c, f in zip(self.cameras, features, strict=True)}
