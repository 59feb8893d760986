"""PNG is exact, and damaged images are refused."""

import io

import numpy as np
import pytest
from PIL import Image

from hilserl.data.png import decode_image, encode_png
from hilserl.errors import HilserlError


@pytest.mark.parametrize("shape", [(2, 3, 3), (128, 128, 3), (1, 1, 3), (7, 200, 3)])
def test_images_come_back_exactly(shape: tuple[int, ...]) -> None:
    images = [np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8) for seed in range(5)]
    encoded = encode_png(images)
    assert len(encoded) == len(images)
    for image, data in zip(images, encoded, strict=True):
        assert np.array_equal(decode_image(data), image)
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), image)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_images_of_another_program_are_read(form: str) -> None:
    image = np.full((16, 24, 3), (200, 40, 90), np.uint8)
    file = io.BytesIO()
    Image.fromarray(image).save(file, form)
    assert np.abs(decode_image(file.getvalue()).astype(int) - image).max() <= (0 if form == "PNG" else 4)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0 and no more"])
def test_bytes_that_are_no_image_are_refused(data: bytes) -> None:
    with pytest.raises(HilserlError, match="image"):
        decode_image(data)


def test_cut_image_is_refused() -> None:
    (data,) = encode_png([np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)])
    with pytest.raises(HilserlError, match="damaged"):
        decode_image(data[: len(data) // 2])
