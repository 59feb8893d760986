"""Pictures of any size brought to the size that is wanted."""

import av
import numpy as np


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The whole picture, uint8 [h, w, 3], at another size, uint8 [height, width, 3]; every pixel is a mean of those
    that it covers."""
    if picture.shape[:2] == (height, width):
        return np.ascontiguousarray(picture)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return frame.reformat(width, height, interpolation="AREA").to_ndarray()


def letterboxed(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """The whole picture at its own proportions in the middle of a black one, uint8 [height, width, 3]."""
    part = min(height / picture.shape[0], width / picture.shape[1])
    inner = resized(picture, *(max(1, round(part * side)) for side in picture.shape[:2]))
    whole = np.zeros((height, width, 3), np.uint8)
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    whole[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return whole
