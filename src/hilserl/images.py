"""Conversion of images to other sizes."""

import av
import numpy as np


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize an image.

    Every pixel is the mean of those that it covers.

    Args:
        image: uint8 [h, w, 3].
        height: Height of the result in pixels.
        width: Width of the result in pixels.

    Returns:
        uint8 [height, width, 3].
    """
    if image.shape[:2] == (height, width):
        return np.ascontiguousarray(image)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    return frame.reformat(width, height, interpolation="AREA").to_ndarray()


def letterboxed(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Fit an image into a black one, uint8 [height, width, 3].

    It keeps its proportions.
    """
    part = min(height / image.shape[0], width / image.shape[1])
    inner = resized(image, *(max(1, round(part * side)) for side in image.shape[:2]))
    whole = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    whole[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return whole
