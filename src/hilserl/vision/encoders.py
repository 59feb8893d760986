"""The encoders by name. A frozen one is told by what it makes of a frame; the one that is trained is `SmallCNN`."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from hilserl.vision import efficientnet, resnet10, small_cnn

EncoderName = Literal["efficientnet_lite0", "resnet10", "small_cnn"]


class Frozen(NamedTuple):
    """A pretrained encoder that is never trained."""

    load: Callable[[], Any]
    """Its module, from uint8 [batch, height, width, 3] to features [batch, rows, columns, channels]."""
    channels: int
    stride: int
    picture_size: int | None = None
    """Height and width to which it scales every frame."""


FROZEN: dict[str, Frozen] = {
    "efficientnet_lite0": Frozen(efficientnet.load, efficientnet.FEATURE_CHANNELS, efficientnet.STRIDE),
    "resnet10": Frozen(resnet10.load, resnet10.FEATURE_CHANNELS, resnet10.STRIDE, resnet10.SIZE),
}


def feature_shape(encoder: EncoderName, height: int, width: int) -> tuple[int, int, int]:
    """Channels, rows and columns of what an encoder makes of a frame."""
    if encoder not in FROZEN:
        stride, channels = small_cnn.STRIDE, small_cnn.FEATURE_CHANNELS
        return channels, -(-height // stride), -(-width // stride)
    _, channels, stride, size = FROZEN[encoder]
    height, width = size or height, size or width
    return channels, -(-height // stride), -(-width // stride)
