"""The policy's cameras at an arm behind a robot server."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from hilserl.errors import HilserlError
from hilserl.robot.client.cameras import Camera, open_camera
from hilserl.robot.client.client import RobotClient
from hilserl.robot.control.backend import LostError
from hilserl.sim.cameras import Crop

_T = TypeVar("_T")


class RobotCameras:
    """Cameras that are read side by side.

    Args:
        client: The robot server's client, for its own cameras.
        sources: Sources by camera; a camera without one is the server's.
        names: The cameras.
        size: Height and width of their images.
        crops: Narrower views by camera.
    """

    def __init__(
        self, client: RobotClient, sources: dict[str, str], names: Sequence[str], size: int, crops: dict[str, Crop]
    ) -> None:
        self._client, self._sources, self._names = client, sources, names
        self._size, self._crops = size, crops
        self._cameras: dict[str, Camera] = {}
        self._stopped: set[str] = set()
        self._threads = ThreadPoolExecutor(len(names) + 1, "robot")

    def open(self) -> None:
        """Open the cameras that are not open or have stopped.

        Raises:
            LostError: A camera gives no image, or one that has stopped cannot be opened yet.
            HilserlError: A camera does not exist.
        """
        for name in self._names:
            if name in self._cameras and self._cameras[name].is_lost:
                self._cameras.pop(name).close()
                self._stopped.add(name)
            if name not in self._cameras:
                self._cameras[name] = self._opened(name)
                # The first image takes long.
                self._read(name)
                self._stopped.discard(name)

    def _opened(self, name: str) -> Camera:
        try:
            return open_camera(name, self._sources.get(name, "server"), self._client)
        except HilserlError as error:
            if name not in self._stopped:
                raise
            # It was there before, so its source is right, and it may come back.
            raise LostError(f"The camera {name!r} has stopped and cannot be opened again: {error}") from error

    def fetch(self) -> dict[str, "Future[np.ndarray]"]:
        """Begin to read all cameras."""
        return {name: self.submit(self._read, name) for name in self._names}

    def submit(self, function: Callable[[str], _T], argument: str) -> "Future[_T]":
        """Run a function in a thread beside the cameras."""
        return self._threads.submit(function, argument)

    def images(self) -> dict[str, np.ndarray]:
        """Read all cameras, each uint8 [size, size, 3]."""
        return {name: self._read(name) for name in self._names}

    def _read(self, name: str) -> np.ndarray:
        return self._cameras[name].read(self._size, self._crops.get(name))

    def close(self) -> None:
        """Close the cameras and end the threads."""
        for camera in self._cameras.values():
            camera.close()
        self._cameras.clear()
        self._threads.shutdown()
