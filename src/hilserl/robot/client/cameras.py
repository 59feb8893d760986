"""Cameras of the robot server or of this machine, behind one interface."""

import contextlib
import importlib
import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from typing_extensions import override

from hilserl.errors import HilserlError
from hilserl.robot.client.client import RobotClient
from hilserl.robot.control.backend import LostError
from hilserl.sim.cameras import Crop

_WHOLE = Crop(0.0, 0.0, 1.0, 1.0)
_STALE_S = 1.0
"""Age at which an image counts as lost."""
_START_S = 10.0
_CAPTURE_PX, _CAPTURE_HZ = (480, 640), 30


class Camera(Protocol):
    """Source of live images."""

    def read(self, size: int, crop: Crop | None) -> np.ndarray:
        """Return the newest image.

        Args:
            size: height and width in pixels.
            crop: part of the view; None for the whole view.

        Returns:
            uint8 [size, size, 3] RGB.

        Raises:
            LostError: no image comes.
        """
        ...

    @property
    def is_lost(self) -> bool:
        """True if it has stopped and has to be opened again."""
        ...

    def close(self) -> None:
        """Release the camera."""
        ...


def open_camera(name: str, source: str, client: RobotClient) -> Camera:
    """Open the camera of a source.

    Args:
        name: name of the camera.
        source: `server`, `opencv:0`, `opencv:/dev/video2` or `realsense:SERIAL`.
        client: connection for the source `server`.

    Raises:
        HilserlError: unknown source, or a library for it is missing.
        LostError: no image comes.
    """
    kind, _, device = source.partition(":")
    if kind == "server" and not device:
        return ServerCamera(client, name)
    if kind == "opencv" and device:
        return CameraDevice(source, *_opencv(device))
    if kind == "realsense" and device:
        return CameraDevice(source, *_realsense(device))
    raise HilserlError(
        f"Invalid source {source!r} of camera {name!r}: expected server, opencv:NUMBER, opencv:/dev/videoN or "
        "realsense:SERIAL."
    )


class ServerCamera(Camera):
    """Camera of the robot server."""

    def __init__(self, client: RobotClient, name: str) -> None:
        self._client, self._name = client, name

    @override
    def read(self, size: int, crop: Crop | None) -> np.ndarray:
        # The server renders at such a size that the crop is the policy's image, pixel by pixel.
        part = crop or _WHOLE
        height, width = round(size / part.height), round(size / part.width)
        image = self._client.image(self._name, height, width)
        top, left = round(part.top * height), round(part.left * width)
        return image[top : top + size, left : left + size]

    @property
    @override
    def is_lost(self) -> bool:
        return False

    @override
    def close(self) -> None:
        """Do nothing: the server keeps the camera."""


class CameraDevice(Camera):
    """Camera on this machine.

    A thread keeps its newest image, so that no read waits or gets an old one.

    Args:
        source: name of the camera for errors.
        grab: waits for the next image, uint8 [height, width, 3] RGB; None if no image came. An error ends the camera.
        release: releases the device.
    """

    def __init__(self, source: str, grab: Callable[[], np.ndarray | None], release: Callable[[], object]) -> None:
        self._source, self._grab, self._release = source, grab, release
        self._cv2 = _library("cv2", "cameras")
        self._newest: tuple[float, np.ndarray] | None = None
        self._failure = ""
        self._came, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._keep_grabbing, name=source, daemon=True)
        self._thread.start()
        came = self._came.wait(_START_S)
        if self._newest is None:
            self.close()
            how = f"stopped: {self._failure}" if came else f"gave no image within {_START_S:.0f} s."
            raise LostError(f"The camera {source} {how}")

    def _keep_grabbing(self) -> None:
        try:
            with contextlib.ExitStack() as stack:
                stack.callback(self._release)
                while not self._closing.is_set():
                    image = self._grab()
                    if image is None:
                        time.sleep(1 / _CAPTURE_HZ)
                        continue
                    self._newest = time.monotonic(), image
                    self._came.set()
        except Exception as error:  # noqa: BLE001 (each driver has its own; whoever reads an image gets it)
            self._failure = f"{type(error).__name__}: {error}"
            self._came.set()

    @property
    @override
    def is_lost(self) -> bool:
        return bool(self._failure) or self._age_s() > _STALE_S

    def _age_s(self) -> float:
        """Return the age of the newest image."""
        return time.monotonic() - self._newest[0] if self._newest else _START_S

    @override
    def read(self, size: int, crop: Crop | None) -> np.ndarray:
        if self._failure:
            raise LostError(f"The camera {self._source} stopped: {self._failure}")
        if self._newest is None or self._age_s() > _STALE_S:
            raise LostError(f"The camera {self._source} has given no image for {self._age_s():.1f} s.")
        return resize(self._cv2, self._newest[1], size, crop or _WHOLE)

    @override
    def close(self) -> None:
        self._closing.set()
        self._thread.join(_START_S)


def resize(cv2: Any, image: np.ndarray, size: int, crop: Crop) -> np.ndarray:
    """Crop an image and resize it to the policy's size.

    Each pixel is the mean of the pixels that it covers.
    """
    height, width = image.shape[:2]
    top, left = round(crop.top * height), round(crop.left * width)
    part = image[top : top + round(crop.height * height), left : left + round(crop.width * width)]
    return np.ascontiguousarray(cv2.resize(part, (size, size), interpolation=cv2.INTER_AREA))


def _opencv(device: str) -> tuple[Callable[[], np.ndarray | None], Callable[[], object]]:
    cv2 = _library("cv2", "cameras")
    capture = cv2.VideoCapture(int(device) if device.isdigit() else device)
    if not capture.isOpened():
        raise HilserlError(f"OpenCV cannot open the camera {device}. `ls /dev/video*` lists the cameras of Linux.")
    height, width = _CAPTURE_PX
    for setting, value in ((cv2.CAP_PROP_FRAME_WIDTH, width), (cv2.CAP_PROP_FRAME_HEIGHT, height)):
        capture.set(setting, value)

    def grab() -> np.ndarray | None:
        good, image = capture.read()
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if good else None

    return grab, capture.release


def _realsense(serial: str) -> tuple[Callable[[], np.ndarray | None], Callable[[], object]]:
    rs = _library("pyrealsense2", "realsense")
    known = [device.get_info(rs.camera_info.serial_number) for device in rs.context().query_devices()]
    if serial not in known:
        raise HilserlError(f"Unknown RealSense camera {serial}. Available: {', '.join(known) or 'none'}.")
    pipeline, wanted = rs.pipeline(), rs.config()
    height, width = _CAPTURE_PX
    wanted.enable_device(serial)
    wanted.enable_stream(rs.stream.color, width, height, rs.format.rgb8, _CAPTURE_HZ)
    try:
        pipeline.start(wanted)
    except RuntimeError as error:
        raise HilserlError(f"The RealSense camera {serial} does not start: {error}") from error

    def grab() -> np.ndarray | None:
        good, frames = pipeline.try_wait_for_frames(round(1000 * _STALE_S))
        return np.array(frames.get_color_frame().get_data()) if good else None

    return grab, pipeline.stop


def _library(name: str, extra: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise HilserlError(f"This camera needs {name}: pip install 'hilserl[{extra}]'.") from error
