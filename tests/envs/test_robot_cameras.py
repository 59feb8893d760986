"""Cameras of the robot environment that stop and come back."""

import contextlib
import itertools
import sys
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hilserl.envs.robot_cameras import RobotCameras
from hilserl.errors import HilserlError
from hilserl.robot.client.client import RobotClient
from hilserl.robot.control.backend import LostError
from tests.support.loopback import until

SERIAL, SHADE = "0123", 77


class Cable:
    """Library of RealSense cameras with one camera on a cable."""

    def __init__(self) -> None:
        self.is_plugged, self.started, self.stopped = True, 0, 0
        device = SimpleNamespace(get_info=lambda _: SERIAL)
        self.camera_info = SimpleNamespace(serial_number="serial number")
        self.stream, self.format = SimpleNamespace(color="color"), SimpleNamespace(rgb8="rgb8")
        self.context = lambda: SimpleNamespace(query_devices=lambda: [device] * self.is_plugged)
        self.config = lambda: SimpleNamespace(enable_device=lambda _: None, enable_stream=lambda *_: None)

    def pipeline(self) -> Any:
        """Make a pipeline, which ends for good when the cable is pulled."""
        number = next(_numbers)

        def start(_: object) -> None:
            self.started = number

        def wait(_: int) -> tuple[bool, Any]:
            time.sleep(0.01)
            if not self.is_plugged or number != self.started:
                raise RuntimeError("Device or resource went away")
            image = np.full((48, 64, 3), SHADE, np.uint8)
            return True, SimpleNamespace(get_color_frame=lambda: SimpleNamespace(get_data=lambda: image))

        def stop() -> None:
            self.stopped += 1

        return SimpleNamespace(start=start, try_wait_for_frames=wait, stop=stop)


_numbers = itertools.count(1)


def test_camera_that_stopped_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    cable = Cable()
    monkeypatch.setitem(sys.modules, "pyrealsense2", cable)
    client = RobotClient("http://127.0.0.1:9")
    cameras = RobotCameras(client, {"wrist": f"realsense:{SERIAL}"}, ["wrist"], 16, {})
    with contextlib.closing(client), contextlib.closing(cameras):
        cameras.open()
        assert (cameras.images()["wrist"] == SHADE).all()
        cable.is_plugged = False
        until(lambda: _loss(cameras), "the loss")
        assert "RuntimeError: Device or resource went away" in _loss(cameras)
        for _ in range(2):
            with pytest.raises(LostError, match="cannot be opened again: Unknown RealSense"):
                cameras.open()
        cable.is_plugged = True
        cameras.open()
        assert (cameras.images()["wrist"] == SHADE).all()
        assert cable.stopped == 1, "the dead pipeline was released"
        cameras.open()
        assert cable.stopped == 1, "a camera that works stays open"


def test_camera_that_was_never_there_is_a_mistake_and_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    cable = Cable()
    cable.is_plugged = False
    monkeypatch.setitem(sys.modules, "pyrealsense2", cable)
    client = RobotClient("http://127.0.0.1:9")
    cameras = RobotCameras(client, {"wrist": f"realsense:{SERIAL}"}, ["wrist"], 16, {})
    with contextlib.closing(client), contextlib.closing(cameras):
        with pytest.raises(HilserlError, match="Unknown RealSense") as refused:
            cameras.open()
        assert not isinstance(refused.value, LostError)


def _loss(cameras: RobotCameras) -> str:
    """Return the words of the loss, or none."""
    try:
        cameras.images()
    except LostError as error:
        return str(error)
    return ""
