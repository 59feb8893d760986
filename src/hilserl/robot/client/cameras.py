"""Cameras of a real arm, or of the server's, behind one interface."""

import contextlib
import importlib
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.client.client import RobotClient
from hilserl.robot.control.backend import LostError
from hilserl.sim.cameras import Crop

_WHOLE = Crop(0.0, 0.0, 1.0, 1.0)
_OLD_S = 1.0
"""A picture older than this is none."""
_START_S = 10.0
_CAPTURE_PX, _CAPTURE_HZ = (480, 640), 30


class Camera(Protocol):
    """Something that shows what is before it now."""

    def read(self, size: int, crop: Crop | None) -> np.ndarray:
        """uint8 [size, size, 3] RGB, of the whole view or of the crop. Raises `LostError` where nothing comes."""
        ...

    def close(self) -> None: ...


def open_camera(name: str, source: str, client: RobotClient) -> Camera:
    """The camera of a source: `server`, `opencv:0`, `opencv:/dev/video2` or `realsense:SERIAL`.

    Raises HilserlError where there is no such source, or what reads it is not installed; `LostError` where no picture
    comes.
    """
    kind, _, which = source.partition(":")
    if kind == "server" and not which:
        return ServerCamera(client, name)
    if kind == "opencv" and which:
        return CameraDevice(source, *_opencv(which))
    if kind == "realsense" and which:
        return CameraDevice(source, *_realsense(which))
    raise HilserlError(
        f"camera {name!r} from {source!r}: expected server, opencv:NUMBER, opencv:/dev/videoN or realsense:SERIAL."
    )


class ServerCamera:
    """A camera that the robot server itself has."""

    def __init__(self, client: RobotClient, name: str) -> None:
        self._client, self._name = client, name

    def read(self, size: int, crop: Crop | None) -> np.ndarray:
        # Asked for at such a size that the crop is the policy's picture, pixel by pixel.
        part = crop or _WHOLE
        height, width = round(size / part.height), round(size / part.width)
        picture = self._client.picture(self._name, height, width)
        top, left = round(part.top * height), round(part.left * width)
        return picture[top : top + size, left : left + size]

    def close(self) -> None:
        """The server keeps it."""


class CameraDevice:
    """A camera on this machine: a thread keeps its newest picture, so that nobody waits for one or sees an old one.

    Args:
        source: its name, for errors.
        grab: the next picture, uint8 [height, width, 3] RGB, or None where none came.
        release: lets the device go.
    """

    def __init__(self, source: str, grab: Callable[[], np.ndarray | None], release: Callable[[], object]) -> None:
        self._source, self._grab, self._release = source, grab, release
        self._cv2 = _library("cv2", "cameras")
        self._newest: tuple[float, np.ndarray] | None = None
        self._came, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep_grabbing, name=source, daemon=True)
        self._thread.start()
        if not self._came.wait(_START_S):
            self.close()
            raise LostError(f"The camera {source} gave no picture within {_START_S:.0f} s.")

    def _keep_grabbing(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.callback(self._release)
            while not self._closing.is_set():
                picture = self._grab()
                if picture is None:
                    time.sleep(1 / _CAPTURE_HZ)
                    continue
                self._newest = time.monotonic(), picture
                self._came.set()

    def read(self, size: int, crop: Crop | None) -> np.ndarray:
        newest = self._newest
        old_s = time.monotonic() - newest[0] if newest else _START_S
        if newest is None or old_s > _OLD_S:
            raise LostError(f"The camera {self._source} has given no picture for {old_s:.1f} s.")
        return resized(self._cv2, newest[1], size, crop or _WHOLE)

    def close(self) -> None:
        self._closing.set()
        self._thread.join(_START_S)


def resized(cv2: Any, picture: np.ndarray, size: int, crop: Crop) -> np.ndarray:
    """The crop of a picture at the policy's size, each pixel the mean of those that it covers."""
    height, width = picture.shape[:2]
    top, left = round(crop.top * height), round(crop.left * width)
    part = picture[top : top + round(crop.height * height), left : left + round(crop.width * width)]
    return np.ascontiguousarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA))


def _opencv(which: str) -> tuple[Callable[[], np.ndarray | None], Callable[[], object]]:
    cv2 = _library("cv2", "cameras")
    capture = cv2.VideoCapture(int(which) if which.isdigit() else which)
    if not capture.isOpened():
        raise HilserlError(f"OpenCV cannot open the camera {which}; `ls /dev/video*` shows what Linux knows.")
    height, width = _CAPTURE_PX
    for what, value in ((cv2.CAP_PROP_FRAME_WIDTH, width), (cv2.CAP_PROP_FRAME_HEIGHT, height)):
        capture.set(what, value)

    def grab() -> np.ndarray | None:
        good, picture = capture.read()
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) if good else None

    return grab, capture.release


def _realsense(serial: str) -> tuple[Callable[[], np.ndarray | None], Callable[[], object]]:
    rs = _library("pyrealsense2", "realsense")
    known = [device.get_info(rs.camera_info.serial_number) for device in rs.context().query_devices()]
    if serial not in known:
        raise HilserlError(f"There is no RealSense camera {serial}; there is: {', '.join(known) or 'none'}.")
    pipeline, wanted = rs.pipeline(), rs.config()
    height, width = _CAPTURE_PX
    wanted.enable_device(serial)
    wanted.enable_stream(rs.stream.color, width, height, rs.format.rgb8, _CAPTURE_HZ)
    pipeline.start(wanted)

    def grab() -> np.ndarray | None:
        good, frames = pipeline.try_wait_for_frames(round(1000 * _OLD_S))
        return np.array(frames.get_color_frame().get_data()) if good else None

    return grab, pipeline.stop


def _library(name: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise HilserlError(f"This camera needs {name}: pip install 'hilserl[{extra}]'.") from error
