"""Videos are read image by image, from any place."""

from pathlib import Path

import numpy as np
import pytest

from hilserl.datasets.lerobot.video import VideoReader, VideoWriter
from hilserl.errors import HilserlError
from tests.support.recorded import image

SHAPE = (64, 64, 3)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """A video of 30 images."""
    writer = VideoWriter(tmp_path / "0.mp4", SHAPE, 10)
    for index in range(30):
        writer.write(image(SHAPE, 0, index))
    writer.close()
    return tmp_path / "0.mp4"


def near(found: np.ndarray, index: int) -> bool:
    """Compare an image with the drawn one, and with its neighbours."""
    errors = [np.abs(found.astype(int) - image(SHAPE, 0, other)).mean() for other in range(20)]
    return int(np.argmin(errors)) == index % 20


@pytest.mark.parametrize("order", [[(0, 10), (10, 20)], [(20, 10), (0, 5), (3, 4)], [(7, 1), (8, 1), (25, 5)]])
def test_images_are_found_in_any_order(video: Path, order: list[tuple[int, int]]) -> None:
    reader = VideoReader(video)
    for start, count in order:
        found = list(reader.frames(start / 10, count, 10))
        assert len(found) == count
        assert all(near(each, start + index) for index, each in enumerate(found))
    reader.close()


def test_images_beyond_the_end_are_an_error(video: Path) -> None:
    reader = VideoReader(video)
    with pytest.raises(HilserlError, match=r"ends before 3\.000 s"):
        list(reader.frames(2.5, 6, 10))
    reader.close()


def test_missing_rate_is_an_error(video: Path) -> None:
    reader = VideoReader(video)
    with pytest.raises(HilserlError, match=r"has no image at 0\.0[0-9]+ s"):
        list(reader.frames(0.0, 20, 30))
    reader.close()


def test_damaged_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "0.mp4").write_bytes(b"no video")
    with pytest.raises(HilserlError, match=r"0\.mp4"):
        VideoReader(tmp_path / "0.mp4")
