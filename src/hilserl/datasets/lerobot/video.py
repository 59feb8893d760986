"""Camera images as video files, one after the other."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.error import FFmpegError

from hilserl.errors import HilserlError

_ENCODERS = {
    "libsvtav1": {"preset": "8", "crf": "12", "g": "2", "svtav1-params": "fast-decode=0"},
    "libx264": {"preset": "medium", "crf": "12", "g": "2"},
}
"""Encoders by preference, with settings that lose little."""
_NAMES = {"libsvtav1": "av1", "libx264": "h264"}


def encoder() -> str:
    """Return the best encoder that PyAV has."""
    return next(name for name in _ENCODERS if name in av.codecs_available)


def video_info(height: int, width: int, fps: int) -> dict[str, Any]:
    """Describe a video as LeRobot's `info` of a feature does."""
    name = encoder()
    return {
        "video.height": height,
        "video.width": width,
        "video.codec": _NAMES[name],
        "video.pix_fmt": "yuv420p",
        "video.fps": fps,
        "video.channels": 3,
        "video.g": int(_ENCODERS[name]["g"]),
        "video.crf": int(_ENCODERS[name]["crf"]),
        "video.preset": _ENCODERS[name]["preset"],
        "has_audio": False,
        "is_depth_map": False,
    }


class VideoWriter:
    """One MP4 file of a constant rate.

    Args:
        path: the file.
        shape: height, width and channels of an image; height and width are even.
        fps: images a second.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int], fps: int) -> None:
        height, width, _ = shape
        # The encoder's notes about its settings would break the progress bar.
        os.environ.setdefault("SVT_LOG", "1")
        name = encoder()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), "w", format="mp4", options={"movflags": "faststart"})
        stream = self._container.add_stream(name, rate=fps, options=dict(_ENCODERS[name]))
        self._stream = cast("Any", stream)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, "yuv420p"
        self._stream.codec_context.time_base = Fraction(1, fps)
        self.num_frames = self.num_bytes = 0

    def write(self, image: np.ndarray) -> None:
        """Append an image, uint8 [height, width, 3]."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = self.num_frames
        self.num_frames += 1
        self._mux(frame)

    def _mux(self, frame: av.VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            self.num_bytes += packet.size
            self._container.mux(packet)

    def close(self) -> None:
        """Write what the encoder still holds, and the file's index."""
        self._mux(None)
        self._container.close()


class VideoReader:
    """Decoder of a video, fastest from beginning to end.

    Raises:
        HilserlError: the file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._container = av.open(str(path))
            self._stream = self._container.streams.video[0]
        except (FFmpegError, OSError, IndexError) as error:
            raise HilserlError(f"Cannot read the video {path}: {error}") from error
        self._stream.thread_type = "AUTO"
        self._decoded: Iterator[av.VideoFrame] = iter(())
        self._time_s = float("inf")

    def frames(self, start_s: float, count: int, fps: float) -> Iterator[np.ndarray]:
        """Decode consecutive images, each uint8 [height, width, 3].

        Args:
            start_s: time of the first image.
            count: how many.
            fps: images a second of the dataset, of which each is the nearest in time.

        Raises:
            HilserlError: the file is damaged, or ends before the last image.
        """
        try:
            yield from self._frames(start_s, count, fps)
        except FFmpegError as error:
            raise HilserlError(f"The video {self.path} is damaged: {error}") from error

    def _frames(self, start_s: float, count: int, fps: float) -> Iterator[np.ndarray]:
        half_s = 0.5 / fps
        if not self._time_s < start_s < self._time_s + 2 / fps:
            self._container.seek(int(start_s * av.time_base), backward=True)
            self._decoded = cast("Iterator[av.VideoFrame]", self._container.decode(self._stream))
        for row in range(count):
            wanted_s = start_s + row / fps
            for frame in self._decoded:
                self._time_s = float(frame.time or 0.0)
                if self._time_s > wanted_s - half_s:
                    break
            else:
                raise HilserlError(f"The video {self.path} ends before {wanted_s:.3f} s, where an image should be.")
            if self._time_s > wanted_s + half_s:
                raise HilserlError(f"The video {self.path} has no image at {wanted_s:.3f} s.")
            yield frame.to_ndarray(format="rgb24")

    def close(self) -> None:
        """Close the file."""
        self._container.close()
