"""Encoders of camera images."""

import io

import av
import numpy as np

from hilserl.robot.http.images import as_npy, as_png


def test_npy_image_is_exact() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert np.array_equal(np.load(io.BytesIO(as_npy(image)), allow_pickle=False), image)


def test_png_image_is_exact() -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    with av.open(io.BytesIO(as_png(image)), "r", format="png_pipe") as container:
        decoded = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.array_equal(decoded, image)
