"""Image encoders by name: frozen pretrained ones, and `SmallCNN`, which is trained."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from hilserl.vision import efficientnet, resnet10, small_cnn

EncoderName = Literal["efficientnet_lite0", "resnet10", "small_cnn"]


class Frozen(NamedTuple):
    """Pretrained encoder that is never trained."""

    load: Callable[[], Any]
    """Function that loads the encoder.

    The encoder maps uint8 [batch, height, width, 3] to features [batch, rows, columns, channels]."""
    channels: int
    stride: int
    image_size: int | None = None
    """Height and width to which it scales images; None scales none."""


FROZEN: dict[str, Frozen] = {
    "efficientnet_lite0": Frozen(efficientnet.load, efficientnet.FEATURE_CHANNELS, efficientnet.STRIDE),
    "resnet10": Frozen(resnet10.load, resnet10.FEATURE_CHANNELS, resnet10.STRIDE, resnet10.SIZE),
}


def map_shape(encoder: EncoderName, height: int, width: int) -> tuple[int, int, int]:
    """Compute the shape of an image's feature map: channels, rows and columns."""
    if encoder not in FROZEN:
        stride, channels = small_cnn.STRIDE, small_cnn.FEATURE_CHANNELS
        return channels, -(-height // stride), -(-width // stride)
    _, channels, stride, size = FROZEN[encoder]
    height, width = size or height, size or width
    return channels, -(-height // stride), -(-width // stride)
