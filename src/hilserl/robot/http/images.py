"""Encoders of camera images.

A policy gets NumPy's file format: it is exact and needs no codec (49 KB for 128 x 128, a fraction of a millisecond on
loopback). JPEG would change the policy's input. PNG is for people.
"""

import io

import numpy as np

from hilserl.data.png import encode_png


def as_npy(image: np.ndarray) -> bytes:
    """Encode an array for `numpy.load(..., allow_pickle=False)`."""
    file = io.BytesIO()
    np.save(file, image, allow_pickle=False)
    return file.getvalue()


def as_png(image: np.ndarray) -> bytes:
    """Encode an image, uint8 [height, width, 3], as PNG."""
    return encode_png([image])[0]
