"""Small convolutional network that is trained end to end.

It is for images that the features of ImageNet describe badly. Four convolutions of 3 x 3 and stride 2, about the size
of those of DrQ (arXiv 2004.13649) and SERL (arXiv 2401.16013).
"""

from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, UInt8

FEATURE_CHANNELS = 64
STRIDE = 16
_CHANNELS = (3, 32, 32, 64, 64)


class SmallCNN(eqx.Module):
    """Convolutional network; kernels are HWIO, biases [O].

    Kernels begin with He's normal distribution (arXiv 1502.01852), biases with zero.
    """

    kernels: list[Float[Array, "3 3 channels_in channels_out"]]
    biases: list[Float[Array, "channels_out"]]

    def __init__(self, *, key: PRNGKeyArray) -> None:
        keys = jax.random.split(key, len(_CHANNELS) - 1)
        he = jax.nn.initializers.he_normal()
        self.kernels = [
            he(k, (3, 3, *channels), jnp.float32) for k, channels in zip(keys, pairwise(_CHANNELS), strict=True)
        ]
        self.biases = [jnp.zeros(channels) for channels in _CHANNELS[1:]]

    def __call__(self, images: UInt8[Any, "batch height width 3"]) -> Float[Array, "batch rows columns channels"]:
        """Encode RGB images.

        Rows and columns are a sixteenth of height and width, rounded up.
        """
        x = images.astype(jnp.float32) / 255.0 - 0.5
        dimensions = ("NHWC", "HWIO", "NHWC")
        for kernel, bias in zip(self.kernels, self.biases, strict=True):
            x = jax.lax.conv_general_dilated(x, kernel, (2, 2), "SAME", dimension_numbers=dimensions)
            x = jax.nn.relu(x + bias)
        return x
