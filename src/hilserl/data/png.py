"""Images as PNG, which is exact, and from PNG or JPEG."""

from collections.abc import Iterable
from typing import cast

import av
import numpy as np
from av.error import FFmpegError

from hilserl.errors import HilserlError

_DECODERS = {b"\x89PNG": "png", b"\xff\xd8\xff": "mjpeg"}
"""Decoders by the first bytes of what they read."""


def encode_png(images: Iterable[np.ndarray]) -> list[bytes]:
    """Encode images of one size, each uint8 [height, width, 3]."""
    codec: av.VideoCodecContext | None = None
    encoded = []
    for image in images:
        if codec is None:
            codec = av.VideoCodecContext.create("png", "w")
            codec.height, codec.width, codec.pix_fmt, codec.thread_count = *image.shape[:2], "rgb24", 1
            codec.options = {"pred": "paeth"}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        encoded.append(b"".join(bytes(packet) for packet in codec.encode(frame)))
    return encoded


def decode_image(data: bytes) -> np.ndarray:
    """Decode a PNG or JPEG file to uint8 [height, width, 3].

    Raises:
        HilserlError: The bytes are neither, or are damaged.
    """
    name = next((decoder for magic, decoder in _DECODERS.items() if data[: len(magic)] == magic), None)
    if name is None:
        raise HilserlError(f"An image begins with {data[:4]!r}, which is neither PNG nor JPEG.")
    # A decoder is made for each image: one that is used again takes an image for a change of the one before.
    codec = cast("av.VideoCodecContext", av.VideoCodecContext.create(name, "r"))
    codec.thread_count = 1
    try:
        (frame,) = codec.decode(av.Packet(data)) or codec.decode(None)
        return frame.to_ndarray(format="rgb24")
    except (FFmpegError, ValueError) as error:
        raise HilserlError(f"An image is damaged: {error}") from error
