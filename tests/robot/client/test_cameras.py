"""Cameras of the robot server and of this machine."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.robot.client.cameras import open_camera, resize
from hilserl.robot.client.client import RobotClient
from hilserl.robot.control.backend import LostError
from hilserl.sim.cameras import Crop
from tests.support.loopback import until

CROP = Crop(0.25, 0.5, 0.5, 0.5)


class GradientClient(RobotClient):
    """Client whose server's camera shows a gradient at any size."""

    def __init__(self) -> None:
        super().__init__("http://127.0.0.1:9")

    def image(self, camera: str, height: int, width: int) -> np.ndarray:
        assert camera == "front"
        rows, columns = np.mgrid[0:height, 0:width]
        return np.stack([rows * (255 // height), columns * (255 // width), rows * 0], axis=-1).astype(np.uint8)


@pytest.fixture
def client() -> Iterator[RobotClient]:
    with contextlib.closing(RobotClient("http://127.0.0.1:9")) as made:
        yield made


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video that OpenCV takes for a camera: left red, right blue, one second."""
    path = tmp_path_factory.mktemp("camera") / "video.mp4"
    image = np.zeros((48, 64, 3), np.uint8)
    image[:, :32, 0] = image[:, 32:, 2] = 200
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "0", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv444p"
        for _ in range(40):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_server_camera_crops_at_full_size() -> None:
    client = GradientClient()
    whole = client.image("front", 64, 64)
    image = open_camera("front", "server", client).read(32, CROP)
    assert np.array_equal(image, whole[16:48, 32:])


def test_camera_device_shows_the_present_image(video: Path, client: RobotClient) -> None:
    with contextlib.closing(open_camera("front", f"opencv:{video}", client)) as camera:
        image = camera.read(32, None)
        assert image.shape == (32, 32, 3)
        assert image.dtype == np.uint8
        assert np.allclose(image[:, 3].mean(axis=0), [200, 0, 0], atol=25)
        assert np.allclose(camera.read(32, Crop(0.0, 0.5, 1.0, 0.5)).mean(axis=(0, 1)), [0, 0, 200], atol=25)


def test_camera_device_is_lost_once_it_stops(video: Path, client: RobotClient) -> None:
    """The video ends after a second, and then no image comes."""
    with contextlib.closing(open_camera("front", f"opencv:{video}", client)) as camera:

        def is_lost() -> bool:
            try:
                return camera.read(8, None) is None
            except LostError as error:
                return "no image for" in str(error)

        until(is_lost, "the end of the video")


@pytest.mark.parametrize("source", ["", "opencv:", "webcam:0", "server:front", "realsense"])
def test_open_camera_refuses_an_unknown_source(source: str, client: RobotClient) -> None:
    with pytest.raises(HilserlError, match="opencv:NUMBER"):
        open_camera("front", source, client)


def test_open_camera_refuses_a_missing_device(tmp_path: Path, client: RobotClient) -> None:
    with pytest.raises(HilserlError, match="cannot open"):
        open_camera("front", f"opencv:{tmp_path / 'none'}", client)
    with pytest.raises(HilserlError, match=r"hilserl\[realsense\]"):
        open_camera("front", "realsense:123", client)


def test_resize_averages_the_pixels() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, ::2] = 100
    assert np.array_equal(resize(cv2, image, 2, Crop(0, 0, 1, 1)), np.full((2, 2, 3), 50, np.uint8))
