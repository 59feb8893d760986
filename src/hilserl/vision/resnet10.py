"""ResNet-10 with ImageNet weights: the frozen encoder of HIL-SERL's published runs.

It ends before its pooling. Architecture: He et al., arXiv 1512.03385, one basic block a stage, with group normalisation
(Wu and He, arXiv 1803.08494) instead of batch normalisation. Weights: the release `resnet10` of
github.com/rail-berkeley/serl, fetched on first use.
"""

import hashlib
import os
import shlex
from functools import cache
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import urlopen

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from hilserl.errors import HilserlError
from hilserl.files import atomically
from hilserl.vision.pickle_file import read_pickle_file
from hilserl.vision.pretrained import check_weights, standardise

FEATURE_CHANNELS = 512
STRIDE = 32
SIZE = 128
_WIDTHS, _STRIDES = (64, 128, 256, 512), (1, 2, 2, 2)
_GROUPS = 4
_EPSILON = 1e-5
_TIMEOUT_S = 30.0


class WeightsFile(NamedTuple):
    """Size and checksum of a file of weights."""

    size: int
    """Size in bytes."""
    sha256: str


PUBLISHED = WeightsFile(21_677_915, "175745d43d30233eb01b5369465d1c24c11b8ee71ccb734cc1c1bca13e07f57b")
"""Weights of HIL-SERL's published runs."""
_URL = "https://github.com/rail-berkeley/serl/releases/download/resnet10/resnet10_params.pkl"


class Layer(NamedTuple):
    """Convolution with group normalisation: kernel HWIO, scale and bias [O].

    The convolution has no bias; scale and bias are those of the normalisation.
    """

    kernel: Array
    scale: Array
    bias: Array


class ResNet10(eqx.Module):
    """Stem and four blocks.

    A block is two layers and, where the shape changes, a shortcut.
    """

    stem: Layer
    blocks: list[list[Layer]]

    def __call__(self, images: UInt8[Any, "batch height width 3"]) -> Float[Array, "batch 4 4 512"]:
        """Encode RGB images.

        Images of another size are scaled to 128 x 128 first.
        """
        x = images.astype(jnp.float32)
        if x.shape[1:3] != (SIZE, SIZE):
            x = jax.image.resize(x, (x.shape[0], SIZE, SIZE, 3), "bilinear")
        x = standardise(x, self.stem.kernel.dtype)
        x = jax.nn.relu(_apply(x, self.stem, 2, ((3, 3), (3, 3))))
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
        for stride, (first, second, *shortcut) in zip(_STRIDES, self.blocks, strict=True):
            y = jax.nn.relu(_apply(x, first, stride))
            y = _apply(y, second)
            for layer in shortcut:
                x = _apply(x, layer, stride)
            x = jax.nn.relu(x + y)
        return x


def _apply(x: Array, layer: Layer, stride: int = 1, padding: Any = "SAME") -> Array:
    dimensions = ("NHWC", "HWIO", "NHWC")
    x = jax.lax.conv_general_dilated(x, layer.kernel, (stride, stride), padding, dimension_numbers=dimensions)
    groups = x.reshape(*x.shape[:3], _GROUPS, -1)
    mean = groups.mean((1, 2, 4), keepdims=True)
    variance = groups.var((1, 2, 4), keepdims=True)
    groups = (groups - mean) * jax.lax.rsqrt(variance + _EPSILON)
    return groups.reshape(x.shape) * layer.scale + layer.bias


def _published() -> list[list[tuple[str, str, tuple[int, ...]]]]:
    """List the published file's layers, the stem's and each block's.

    A layer is the name of its convolution, the name of its normalisation and the shape of its kernel.
    """
    parts = [[("conv_init", "norm_init", (7, 7, 3, _WIDTHS[0]))]]
    for index, (before, width) in enumerate(pairwise((_WIDTHS[0], *_WIDTHS))):
        block = f"ResNetBlock_{index}"
        layers = [
            (f"{block}/Conv_0", f"{block}/MyGroupNorm_0", (3, 3, before, width)),
            (f"{block}/Conv_1", f"{block}/MyGroupNorm_1", (3, 3, width, width)),
        ]
        if width != before:
            layers.append((f"{block}/conv_proj", f"{block}/norm_proj", (1, 1, before, width)))
        parts.append(layers)
    return parts


def _flat(tree: dict[str, Any]) -> dict[str, Any]:
    """List the arrays by their path, as in `ResNetBlock_0/Conv_0/kernel`."""
    flat = {}
    for name, value in tree.items():
        flat |= {f"{name}/{path}": v for path, v in _flat(value).items()} if isinstance(value, dict) else {name: value}
    return flat


def from_weights(tree: dict[str, Any]) -> ResNet10:
    """Make the encoder from the arrays of the published file.

    Raises:
        HilserlError: names the arrays that are missing or have another shape.
    """
    arrays, wrong = _flat(tree), []

    def take(name: str, shape: tuple[int, ...]) -> Array:
        if name not in arrays or np.shape(arrays[name]) != shape:
            found = np.shape(arrays[name]) if name in arrays else "missing"
            wrong.append(f"{name} is {found}, expected {shape}")
            return jnp.zeros(shape)
        return jnp.asarray(arrays[name], jnp.float32)

    (stem,), *blocks = [
        [
            Layer(take(f"{conv}/kernel", shape), take(f"{norm}/scale", shape[3:]), take(f"{norm}/bias", shape[3:]))
            for conv, norm, shape in layers
        ]
        for layers in _published()
    ]
    if wrong:
        raise HilserlError(f"These are not the weights of HIL-SERL's ResNet-10: {'; '.join(wrong)}.")
    return ResNet10(stem, blocks)


def untrained() -> ResNet10:
    """Make an encoder of the same shapes without training, for timing."""
    tree = {}
    for layers in _published():
        for conv, norm, shape in layers:
            tree |= {f"{conv}/kernel": np.ones(shape), f"{norm}/scale": np.ones(shape[3:])}
            tree[f"{norm}/bias"] = np.zeros(shape[3:])
    return from_weights(tree)


def weights_path() -> Path:
    """Return the path of the weights, below XDG_CACHE_HOME or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hilserl" / "resnet10_params.pkl"


def _download(file: WeightsFile, path: Path) -> None:
    """Download the weights to `path`.

    Raises:
        HilserlError: the download failed; says how to do it by hand, and leaves `path` as it is.
    """
    by_hand = f"Try again, or download {_URL} by hand to {path}"
    try:
        with urlopen(_URL, timeout=_TIMEOUT_S) as answer:
            data = answer.read(file.size + 1)
    except (OSError, HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise HilserlError(f"Cannot download the encoder's weights: {reason}. {by_hand}") from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != file.sha256:
        raise HilserlError(
            f"The download is not the encoder's weights ({len(data)} bytes of SHA-256 {digest[:12]}, "
            f"expected {file.size} of {file.sha256[:12]}). {by_hand}"
        )
    atomically(path, lambda part: part.write_bytes(data))


@cache
def load(file: WeightsFile = PUBLISHED) -> ResNet10:
    """Load the frozen encoder; its first use downloads the weights.

    Raises:
        HilserlError: the download failed, or the weights differ from the published ones.
    """
    path = weights_path()
    if not path.is_file():
        _download(file, path)
    check_weights(path, file.sha256, f"Delete them, and the next run downloads them: rm {shlex.quote(str(path))}")
    with jax.ensure_compile_time_eval():  # also when first called inside a compiled function
        return from_weights(read_pickle_file(path))
