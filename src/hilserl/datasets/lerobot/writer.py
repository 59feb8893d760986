"""Writer of a LeRobotDataset v3.0, some episodes after the others."""

import json
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hilserl.data.stored_episode import StoredEpisode
from hilserl.datasets.lerobot import format as form
from hilserl.datasets.lerobot.prepared import EpisodePreparer, PreparedEpisodes, ends_schema
from hilserl.datasets.lerobot.rolling import RollingParquet, RollingVideo
from hilserl.datasets.lerobot.statistics import RunningStatistics, moved_statistics
from hilserl.errors import HilserlError

_EPISODES_PER_GROUP, _ENDS_PER_GROUP = 1000, 100
"""Episodes of a row group.

The table of episodes has hundreds of columns, and Parquet keeps a note of each one's place in memory until the end."""


class LeRobotWriter:
    """Writer of a dataset in an empty directory.

    Memory holds the episodes of one call. The context manager completes the dataset.

    Args:
        root: the directory.
        preparer: layout of the episodes and form of the dataset.
        task: description of the task in words.
    """

    def __init__(self, root: Path, preparer: EpisodePreparer, task: str) -> None:
        self._root, self._preparer, self._spec, self._task = root, preparer, preparer.spec, task
        self._features = form.features_of(self._spec, video=preparer.video, gripper=preparer.gripper)
        self._fps = form.frames_per_second(self._spec)
        self._statistics = RunningStatistics()
        self._episodes = self._rows = 0
        schema = form.data_schema(self._features)
        numbers = [name for name, each in self._features.items() if each["dtype"] not in ("image", "video")]
        self._data = RollingParquet(root / "data", schema, numbers, form.DATA_FILE_MB)
        self._meta = RollingParquet(root / form.EPISODES, form.episodes_schema(self._features), [], form.DATA_FILE_MB)
        self._pending: list[dict[str, Any]] = []
        (root / form.ENDS).parent.mkdir(parents=True)
        ends = ends_schema(self._spec)
        self._ends = pq.ParquetWriter(root / form.ENDS, ends, compression="snappy", write_page_checksum=True)
        self._pending_ends: list[pa.Table] = []
        shapes, cameras = dict(self._spec.images), form.image_features(self._spec) if preparer.video else {}
        self._videos = {
            camera: RollingVideo(root / "videos" / name, shapes[camera], self._fps, form.VIDEO_FILE_MB)
            for camera, name in cameras.items()
        }

    def write(self, episode: StoredEpisode) -> None:
        """Append an episode, its reset first.

        Raises:
            HilserlError: it has no action, or a number that is not finite.
        """
        prepared = self._preparer.prepare([episode])
        names, places = form.image_features(self._spec), {}
        for camera, video in self._videos.items():
            found = video.write(episode.images(camera, range(prepared.lengths[0])))
            places |= {f"videos/{names[camera]}/{key}": [value] for key, value in found.items()}
        self._append(prepared, places)

    def append(self, prepared: PreparedEpisodes) -> None:
        """Append episodes that are prepared; the dataset has no video."""
        self._append(prepared, {})

    def _append(self, prepared: PreparedEpisodes, videos: dict[str, list[Any]]) -> None:
        lengths = np.array(prepared.lengths)
        number = len(lengths)
        episodes, starts = self._episodes + np.arange(number), self._rows + np.cumsum(lengths) - lengths
        moved = {
            **prepared.statistics,
            "episode_index": moved_statistics(prepared.statistics["episode_index"], episodes),
            "index": moved_statistics(prepared.statistics["index"], starts),
        }
        self._statistics.add(moved)
        table = prepared.rows.append_column("episode_index", pa.array(np.repeat(episodes, lengths)))
        table = table.append_column("index", pa.array(self._rows + np.arange(lengths.sum())))
        chunk, file = self._data.write(table.select(self._data.schema.names).cast(self._data.schema))
        self._pending.append(
            {
                "episode_index": episodes,
                "tasks": [[self._task]] * number,
                "length": lengths,
                "data/chunk_index": np.full(number, chunk),
                "data/file_index": np.full(number, file),
                "dataset_from_index": starts,
                "dataset_to_index": starts + lengths,
                **videos,
                **{f"stats/{name}/{key}": values for name, each in moved.items() for key, values in each.items()},
            }
        )
        self._pending_ends.append(prepared.ends)
        self._rows += int(lengths.sum())
        self._episodes += number
        if sum(ends.num_rows for ends in self._pending_ends) >= _ENDS_PER_GROUP:
            self._flush_ends()
        if sum(len(each["length"]) for each in self._pending) >= _EPISODES_PER_GROUP:
            self._flush()

    def _flush_ends(self) -> None:
        if self._pending_ends:
            self._ends.write_table(pa.concat_tables(self._pending_ends))
            self._pending_ends = []

    def _flush(self) -> None:
        if not self._pending:
            return
        chunk, file = self._meta.next_file()
        tables = []
        for columns in self._pending:
            here = {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
            columns |= {name: np.full(len(columns["length"]), place) for name, place in here.items()}
            schema = self._meta.schema
            arrays = [_nested(columns[field.name], field.type) for field in schema]
            tables.append(pa.Table.from_arrays(arrays, schema=schema))
        self._meta.write(pa.concat_tables(tables).combine_chunks())
        self._pending = []

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *details: object) -> None:
        """Complete the dataset, or after an exception close its files alone."""
        try:
            if kind is None:
                self._finish()
        finally:
            for file in (self._data, self._meta, self._ends, *self._videos.values()):
                file.close()

    def _finish(self) -> None:
        if not self._episodes:
            raise HilserlError("There is no episode to convert.")
        self._flush_ends()
        self._flush()
        counts = {"total_episodes": self._episodes, "total_frames": self._rows, "total_tasks": 1}
        info = form.info_of(self._features, self._fps, counts)
        spec = {"format_version": 1, "spec": json.loads(self._spec.to_json())}
        for name, content in ((form.INFO, info), (form.STATS, self._statistics.as_dict()), (form.SPEC, spec)):
            (self._root / name).write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n")
        pq.write_table(form.tasks_table([self._task]), self._root / form.TASKS)


def _nested(values: Any, kind: pa.DataType) -> pa.Array:
    """Make a column of numbers or of nested lists of one length.

    Args:
        values: array [episodes, ...], or a list.
        kind: type of the column.
    """
    if not isinstance(values, np.ndarray) or values.ndim == 1:
        return pa.array(values, kind)
    made = pa.array(values.reshape(-1))
    for axis in range(values.ndim - 1, 0, -1):
        size, number = values.shape[axis], int(np.prod(values.shape[:axis]))
        made = pa.ListArray.from_arrays(pa.array(np.arange(0, size * number + 1, size), pa.int32()), made)
    return made.cast(kind)
