"""Files of limited size, in numbered chunks as LeRobot names them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hilserl.datasets.lerobot.format import FILE, FILES_PER_CHUNK
from hilserl.datasets.lerobot.video import VideoWriter

_MB = 1 << 20


class _Place:
    """Number of a file and of its chunk."""

    def __init__(self) -> None:
        self.number = -1

    @property
    def pair(self) -> tuple[int, int]:
        """Chunk and file."""
        return divmod(self.number, FILES_PER_CHUNK)

    def path(self, directory: Path, suffix: str) -> Path:
        """Return the file's path."""
        chunk, file = self.pair
        return directory / f"{FILE.format(chunk_index=chunk, file_index=file)}{suffix}"


class RollingParquet:
    """Parquet files, in which each table is one row group.

    Args:
        directory: directory of the chunks.
        schema: schema of every table.
        dictionary: columns with many equal values.
        max_mb: size at which the next file begins.
    """

    def __init__(self, directory: Path, schema: pa.Schema, dictionary: Sequence[str], max_mb: float) -> None:
        self._directory, self.schema, self._max_bytes = directory, schema, max_mb * _MB
        self._dictionary: Any = list(dictionary)
        self._place, self._writer = _Place(), None
        self._file: Any = None

    def next_file(self) -> tuple[int, int]:
        """Return chunk and file of the next table."""
        if self._writer is None or self._file.tell() >= self._max_bytes:
            self.close()
            self._place.number += 1
            path = self._place.path(self._directory, ".parquet")
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            options: dict[str, Any] = {"use_dictionary": self._dictionary, "write_statistics": self._dictionary}
            self._writer = pq.ParquetWriter(
                self._file, self.schema, compression="snappy", write_page_checksum=True, **options
            )
        return self._place.pair

    def write(self, table: pa.Table) -> tuple[int, int]:
        """Write a table; return its chunk and file."""
        place = self.next_file()
        assert self._writer is not None
        self._writer.write_table(table, row_group_size=max(1, table.num_rows))
        return place

    def close(self) -> None:
        """Complete the current file."""
        if self._writer is not None:
            self._writer.close()
            self._file.close()
            self._writer = None


class RollingVideo:
    """Videos of one camera; an episode is in one of them.

    Args:
        directory: directory of the chunks.
        shape: height, width and channels of an image.
        fps: images a second.
        max_mb: size at which the next file begins.
    """

    def __init__(self, directory: Path, shape: tuple[int, int, int], fps: int, max_mb: float) -> None:
        self._directory, self._shape, self._fps, self._max_bytes = directory, shape, fps, max_mb * _MB
        self._place = _Place()
        self._writer: VideoWriter | None = None

    def write(self, images: Sequence[np.ndarray]) -> dict[str, float]:
        """Write an episode.

        Returns:
            Its place, as the table of episodes has it.
        """
        if self._writer is None or self._writer.num_bytes >= self._max_bytes:
            self.close()
            self._place.number += 1
            self._writer = VideoWriter(self._place.path(self._directory, ".mp4"), self._shape, self._fps)
        first = self._writer.num_frames
        for image in images:
            self._writer.write(image)
        chunk, file = self._place.pair
        ends = {"from_timestamp": first / self._fps, "to_timestamp": (first + len(images)) / self._fps}
        return {"chunk_index": chunk, "file_index": file, **ends}

    def close(self) -> None:
        """Complete the current video."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
