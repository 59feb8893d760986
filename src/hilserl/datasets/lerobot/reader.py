"""Reader of LeRobotDataset v3.0 and v2.1."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hilserl.data.png import decode_image
from hilserl.datasets.frames import Frames, ImageStream
from hilserl.datasets.lerobot.format import EPISODES, INFO, TASKS
from hilserl.datasets.lerobot.video import VideoReader
from hilserl.errors import HilserlError

BATCH_BYTES, BATCH_ROWS = 4_000_000, 4096
"""Most bytes before compression, or rows, that are read at once."""
_CORRUPT = (pa.ArrowException, OSError, KeyError, TypeError, ValueError, IndexError)


class _Layout(Protocol):
    """Places of a version's episodes."""

    def episodes(self) -> Iterator[dict[str, Any]]:
        """Yield index, length, tasks and video places of each episode."""
        ...

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows of each episode."""
        ...


@dataclass(frozen=True)
class LeRobotDataset:
    """A dataset in LeRobot's layout."""

    root: Path

    @cached_property
    def info(self) -> dict[str, Any]:
        """The content of `info.json`."""
        try:
            info = json.loads((self.root / INFO).read_text())
            major = int(str(info["codebase_version"]).removeprefix("v").split(".")[0])
            fps, features = float(info["fps"]), dict(info["features"])
        except (OSError, *_CORRUPT) as error:
            raise HilserlError(f"Cannot read {self.root / INFO}: {error!r}.") from error
        if major not in (2, 3) or fps <= 0 or not features:
            raise HilserlError(
                f"{self.root} is a LeRobotDataset of version {info['codebase_version']}; "
                "this program reads v2.1 and v3.0."
            )
        return info

    @property
    def fps(self) -> float:
        """Rows a second."""
        return float(self.info["fps"])

    @property
    def features(self) -> dict[str, dict[str, Any]]:
        """Features by name."""
        return self.info["features"]

    @property
    def image_names(self) -> list[str]:
        """Features that are images or video."""
        return [name for name, feature in self.features.items() if feature["dtype"] in ("image", "video")]

    @cached_property
    def _layout(self) -> _Layout:
        version = str(self.info["codebase_version"])
        return _Version3(self.root) if version.startswith("v3") else _Version2(self.root, self.info)

    @cached_property
    def tasks(self) -> list[str]:
        """Descriptions of the tasks by index."""
        try:
            if (self.root / TASKS).is_file():
                rows = pq.read_table(self.root / TASKS).to_pylist()
            else:
                rows = _json_lines(self.root / "meta" / "tasks.jsonl")
            return [row["task"] for row in sorted(rows, key=lambda row: row["task_index"])]
        except _CORRUPT as error:
            raise HilserlError(f"Cannot read the tasks of {self.root}: {error!r}.") from error

    def episodes(self, *, images: bool = True) -> Iterator[Frames]:
        """Yield the episodes in order, one in memory at a time.

        Args:
            images: with images; without them only numbers are read.

        Raises:
            HilserlError: a file is missing or damaged, or episodes are not whole.
        """
        try:
            yield from self._episodes(images=images)
        except _CORRUPT as error:
            raise HilserlError(f"Cannot read the dataset {self.root}: {error!r}.") from error

    def _episodes(self, *, images: bool) -> Iterator[Frames]:
        stored = [name for name, feature in self.features.items() if feature["dtype"] == "image" and images]
        numbers = [
            name for name, feature in self.features.items() if feature["dtype"] not in ("image", "video", "string")
        ]
        videos = _Videos(self.root, self.info)
        try:
            for row, table in zip(self._layout.episodes(), self._layout.tables([*numbers, *stored]), strict=True):
                index, length = row["episode_index"], row["length"]
                if table.num_rows != length or (table["episode_index"].to_numpy() != index).any():
                    raise HilserlError(f"Episode {index} of {self.root} has {table.num_rows} rows, expected {length}.")
                encoded = {name: table[name].combine_chunks() for name in stored}
                streams: dict[str, ImageStream] = {name: partial(_decoded, encoded[name]) for name in stored}
                if images:
                    streams |= {name: videos.stream(name, row, self.fps) for name in videos.names}
                columns = {name: _array(table[name]) for name in numbers if name in table.column_names}
                task = self.tasks[int(columns["task_index"][0])] if "task_index" in columns else ""
                yield Frames(index, task, columns, streams, encoded)
        finally:
            videos.close()


class _Videos:
    """The open videos of a dataset, one of each camera."""

    def __init__(self, root: Path, info: dict[str, Any]) -> None:
        self._root, self._template = root, str(info.get("video_path") or "")
        self.names = [name for name, feature in info["features"].items() if feature["dtype"] == "video"]
        self._open: dict[str, VideoReader] = {}

    def stream(self, name: str, row: dict[str, Any], fps: float) -> ImageStream:
        """Return the images of an episode."""
        place = {key: row.get(f"videos/{name}/{key}") for key in ("chunk_index", "file_index")}
        index = row["episode_index"]
        place |= {"video_key": name, "episode_index": index, "episode_chunk": row.get("episode_chunk", 0)}
        path, start_s = self._root / self._template.format(**place), row.get(f"videos/{name}/from_timestamp", 0.0)

        def images() -> Iterator[np.ndarray]:
            reader = self._open.get(name)
            if reader is None or reader.path != path:
                if reader is not None:
                    reader.close()
                reader = self._open[name] = VideoReader(path)
            return reader.frames(start_s, row["length"], fps)

        return images

    def close(self) -> None:
        """Close all videos."""
        for reader in self._open.values():
            reader.close()


@dataclass(frozen=True)
class _Version3:
    """Files with many episodes each."""

    root: Path

    def episodes(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the table of episodes, without statistics."""
        for path in sorted((self.root / EPISODES).glob("*/*.parquet")):
            names = [name for name in pq.read_schema(path).names if not name.startswith("stats/")]
            with pq.ParquetFile(path) as file:
                for batch in batches(file, names):
                    yield from batch.to_pylist()

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows of each episode, which follow one another."""
        pending: list[pa.Table] = []
        last = -1
        for path in sorted((self.root / "data").glob("*/*.parquet")):
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                for batch in batches(file, columns):
                    for index, part in _split(pa.Table.from_batches([batch])):
                        if pending and index != last:
                            yield pa.concat_tables(pending)
                            pending = []
                        pending.append(part)
                        last = index
        if pending:
            yield pa.concat_tables(pending)


@dataclass(frozen=True)
class _Version2:
    """Files with one episode each."""

    root: Path
    info: Mapping[str, Any]

    def episodes(self) -> Iterator[dict[str, Any]]:
        """Yield the lines of `episodes.jsonl`."""
        for row in _json_lines(self.root / "meta" / "episodes.jsonl"):
            yield {**row, "episode_chunk": row["episode_index"] // int(self.info.get("chunks_size", 1000))}

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the rows of each episode's file."""
        for row in self.episodes():
            place = {key: row[key] for key in ("episode_index", "episode_chunk")}
            with pq.ParquetFile(self.root / self.info["data_path"].format(**place)) as file:
                yield file.read(columns=[name for name in columns if name in file.schema_arrow.names])


def batches(file: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read a file's columns a few megabytes at a time."""
    for index in range(file.num_row_groups):
        group = file.metadata.row_group(index)
        row_bytes = group.total_byte_size // max(1, group.num_rows) + 1
        rows = max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes))
        # A reader of several row groups keeps the list levels of all of them in memory.
        yield from file.iter_batches(rows, row_groups=[index], columns=list(columns), use_threads=False)


def _split(table: pa.Table) -> Iterator[tuple[int, pa.Table]]:
    """Cut a table where the episode changes, and name each part's episode."""
    index = table["episode_index"].to_numpy()
    cuts = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), len(index)]
    for start, stop in itertools.pairwise(cuts):
        yield int(index[start]), table.slice(start, stop - start)


def _array(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column's numbers, [rows] or [rows, n]."""
    array = column.combine_chunks()
    if pa.types.is_fixed_size_list(array.type) or pa.types.is_list(array.type):
        return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), -1)
    return array.to_numpy(zero_copy_only=False)


def _decoded(column: pa.StructArray) -> Iterator[np.ndarray]:
    """Decode a column of images, each uint8 [height, width, 3]."""
    for data in column.field("bytes"):
        yield decode_image(data.as_py())


def _json_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
