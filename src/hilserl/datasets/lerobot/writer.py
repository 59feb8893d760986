"""Writer of a LeRobotDataset v3.0, one episode after the other."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hilserl.data.arrow import arrow_schema, to_table
from hilserl.data.spec import ExperienceSpec, count_changes
from hilserl.data.step import Step
from hilserl.data.stored_episode import IMAGE, StoredEpisode
from hilserl.datasets.lerobot import format as form
from hilserl.datasets.lerobot.rolling import RollingParquet, RollingVideo
from hilserl.datasets.lerobot.statistics import (
    RunningStatistics,
    Statistics,
    columns_statistics,
    image_statistics,
    sampled_rows,
)
from hilserl.errors import HilserlError

_PENALTY = -0.02
"""Reward of HIL-SERL and LeRobot for moving a gripper."""
_EPISODES_PER_GROUP = 100


class LeRobotWriter:
    """Writer of a dataset in an empty directory.

    Memory holds one episode at a time. The context manager completes the dataset.

    Args:
        root: the directory.
        spec: layout of the episodes.
        task: description of the task in words.
        video: write cameras as video, or as PNG.
        gripper: form of the gripper's actions.
    """

    def __init__(
        self, root: Path, spec: ExperienceSpec, task: str, *, video: bool = False, gripper: form.GripperForm = "signed"
    ) -> None:
        self._root, self._spec, self._task, self._gripper = root, spec, task, gripper
        self._features = form.features_of(spec, video=video, gripper=gripper)
        self._cameras = form.image_features(spec)
        self._fps = form.frames_per_second(spec)
        self._statistics = RunningStatistics()
        self._episodes = self._rows = 0
        schema, numbers = form.data_schema(self._features), self._numbers()
        self._data = RollingParquet(root / "data", schema, numbers, form.DATA_FILE_MB)
        self._meta = RollingParquet(root / form.EPISODES, form.episodes_schema(self._features), [], form.DATA_FILE_MB)
        self._pending: list[dict[str, Any]] = []
        (root / form.ENDS).parent.mkdir(parents=True)
        self._ends = pq.ParquetWriter(root / form.ENDS, ends_schema(spec), compression="zstd", write_page_checksum=True)
        self._pending_ends: list[pa.Table] = []
        shapes = dict(spec.images)
        self._videos = {
            name: RollingVideo(root / "videos" / name, shapes[camera], self._fps, form.VIDEO_FILE_MB)
            for camera, name in (self._cameras.items() if video else ())
        }

    def _numbers(self) -> list[str]:
        """Return the columns that are not images."""
        return [name for name, feature in self._features.items() if feature["dtype"] not in ("image", "video")]

    def write(self, episode: StoredEpisode) -> None:
        """Append an episode, its reset first.

        Raises:
            HilserlError: it has no action, or a number that is not finite.
        """
        steps = episode.steps
        if len(steps) < 2:
            raise HilserlError(f"Episode {steps[0].episode} has no action; a dataset of LeRobot cannot hold it.")
        columns = self._columns(steps)
        statistics = columns_statistics({name: columns[name] for name in self._numbers()})
        row: dict[str, Any] = {"episode_index": self._episodes, "tasks": [self._task], "length": len(steps) - 1}
        arrays: dict[str, Any] = dict(columns)
        for camera, name in self._cameras.items():
            sampled = sampled_rows(len(steps) - 1).tolist()
            if name in self._videos:
                images = episode.images(camera, range(len(steps) - 1))
                statistics[name] = image_statistics([images[i] for i in sampled])
                row |= {f"videos/{name}/{key}": value for key, value in self._videos[name].write(images).items()}
            else:
                statistics[name] = image_statistics(episode.images(camera, sampled))
                arrays[name] = episode.encoded(camera)[:-1]
        chunk, file = self._data.write(self._table(arrays))
        row |= {"data/chunk_index": chunk, "data/file_index": file, "dataset_from_index": self._rows}
        row["dataset_to_index"] = self._rows + len(steps) - 1
        self._keep(row, statistics, _ends(episode))
        self._rows += len(steps) - 1
        self._episodes += 1

    def _columns(self, steps: Sequence[Step]) -> dict[str, np.ndarray]:
        """Return an episode's numbers by feature, [rows] or [rows, n]."""
        table = to_table(steps, self._spec.only(()))  # checks the shapes, and that all numbers are finite
        rows = len(steps) - 1
        signed = np.stack([step.action for step in steps[1:]]).astype(np.float32)
        state = np.stack([step.observation["state"] for step in steps[:-1]]).astype(np.float32)
        found = {"observation.state": state, "action": signed}
        if self._gripper == "classes":
            found |= {"action": _with_classes(signed, self._spec), form.SIGNED_ACTION: signed}
        for name, (dtype, attribute) in form.PER_STEP.items():
            found[name] = table[attribute].to_numpy()[1:].astype(dtype)
        found["next.done"] = np.arange(rows) == rows - 1
        if self._spec.action.grippers:
            found[form.PENALTY] = _penalties(steps, self._spec)
        index = np.arange(rows)
        found |= {"timestamp": (index / self._fps).astype(np.float32), "frame_index": index}
        found |= {"episode_index": np.full(rows, self._episodes), "index": self._rows + index}
        return {**found, "task_index": np.zeros(rows, np.int64)}

    def _table(self, arrays: dict[str, Any]) -> pa.Table:
        schema = form.data_schema(self._features)

        def column(field: pa.Field) -> pa.Array:
            values = arrays[field.name]
            if isinstance(values, np.ndarray) and values.ndim == 2:
                return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
            return values if isinstance(values, pa.Array) else pa.array(values, field.type)

        return pa.Table.from_arrays([column(field) for field in schema], schema=schema)

    def _keep(self, row: dict[str, Any], statistics: dict[str, Statistics], ends: pa.Table) -> None:
        self._statistics.add(statistics)
        row |= {
            f"stats/{name}/{key}": value.tolist() for name, found in statistics.items() for key, value in found.items()
        }
        self._pending.append(row)
        self._pending_ends.append(ends)
        if len(self._pending) == _EPISODES_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._pending:
            return
        chunk, file = self._meta.next_file()
        for row in self._pending:
            row |= {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
        self._meta.write(pa.Table.from_pylist(self._pending, schema=self._meta.schema))
        self._ends.write_table(pa.concat_tables(self._pending_ends))
        self._pending, self._pending_ends = [], []

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
        self._flush()
        counts = {"total_episodes": self._episodes, "total_frames": self._rows, "total_tasks": 1}
        info = form.info_of(self._features, self._fps, counts)
        spec = {"format_version": 1, "spec": json.loads(self._spec.to_json())}
        for name, content in ((form.INFO, info), (form.STATS, self._statistics.as_dict()), (form.SPEC, spec)):
            (self._root / name).write_text(json.dumps(content, indent=4, ensure_ascii=False) + "\n")
        pq.write_table(form.tasks_table([self._task]), self._root / form.TASKS)


def _with_classes(actions: np.ndarray, spec: ExperienceSpec) -> np.ndarray:
    """Return actions whose grippers are 0 close, 1 stay, 2 open."""
    grippers = list(spec.action.grippers)
    changed = actions.copy()
    changed[:, grippers] = np.where(np.abs(actions[:, grippers]) > 0.5, np.sign(actions[:, grippers]), 0.0) + 1.0
    return changed


def _penalties(steps: Sequence[Step], spec: ExperienceSpec) -> np.ndarray:
    """Return LeRobot's penalty of each action, float32 [rows]."""
    grippers, commands = list(spec.action.grippers), spec.gripper_state
    changes = [
        count_changes(before.observation["state"][commands], step.action[grippers])
        for before, step in itertools.pairwise(steps)
    ]
    return np.float32(_PENALTY) * np.array(changes, np.float32) + np.float32(0)  # no -0.0


def ends_schema(spec: ExperienceSpec) -> pa.Schema:
    """Make the Arrow schema of the episodes' ends."""
    reset = arrow_schema(spec.only(()))
    fields = [pa.field(f"reset.{field.name}", field.type) for field in reset if field.name != "observation.state"]
    fields.append(pa.field("last.observation.state", reset.field("observation.state").type))
    return pa.schema([*fields, *(pa.field(f"last.observation.{camera}", IMAGE) for camera, _ in spec.images)])


def _ends(episode: StoredEpisode) -> pa.Table:
    """Make the row of the reset's numbers and the last observation."""
    steps, spec = episode.steps, episode.spec
    numbers, schema = to_table([steps[0], steps[-1]], spec.only(())), ends_schema(spec)
    columns = [
        numbers[name.removeprefix("reset.")].slice(0, 1).combine_chunks()
        for name in schema.names
        if name.startswith("reset.")
    ]
    columns.append(numbers["observation.state"].slice(1, 1).combine_chunks())
    columns += [episode.encoded(camera)[-1:] for camera, _ in spec.images]
    return pa.Table.from_arrays(columns, schema=schema)
