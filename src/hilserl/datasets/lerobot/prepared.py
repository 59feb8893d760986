"""Episodes in LeRobot's form, before they have a place in a dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from hilserl.data.arrow import arrow_schema, matrix, vectors
from hilserl.data.spec import ExperienceSpec, gripper_changes
from hilserl.data.stored_episode import IMAGE, StoredEpisode
from hilserl.datasets.lerobot import format as form
from hilserl.datasets.lerobot.statistics import (
    Statistics,
    columns_statistics,
    image_statistics,
    sampled_rows,
    stacked_statistics,
)
from hilserl.errors import HilserlError

_PENALTY = -0.02
"""Reward of HIL-SERL and LeRobot for moving a gripper."""
PLACES = ("episode_index", "index")
"""Columns that depend on the episodes before."""


@dataclass(frozen=True)
class PreparedEpisodes:
    """Consecutive episodes, ready to be written behind others."""

    rows: pa.Table
    """Rows of all episodes, without the columns of `PLACES`."""
    lengths: list[int]
    """Rows of each episode."""
    statistics: dict[str, Statistics]
    """Statistics by column, each stacked to [episodes, ...].

    Those of `PLACES` are as if nothing were before."""
    ends: pa.Table
    """One row an episode, with its reset's numbers and last observation."""


@dataclass(frozen=True)
class EpisodePreparer:
    """Conversion of episodes that is the same wherever they will stand.

    It can be sent to another process.
    """

    spec: ExperienceSpec
    """Layout of the episodes."""
    video: bool = False
    """Cameras as video, whose images are not part of the rows."""
    gripper: form.GripperForm = "signed"
    """Form of the gripper's actions."""

    def prepare(self, episodes: Sequence[StoredEpisode]) -> PreparedEpisodes:
        """Convert consecutive episodes.

        Raises:
            HilserlError: an episode has no action, or a number that is not finite.
        """
        features = form.features_of(self.spec, video=self.video, gripper=self.gripper)
        schema = form.data_schema(features)
        for name in PLACES:
            schema = schema.remove(schema.get_field_index(name))
        counts = np.array([episode.numbers.num_rows for episode in episodes])
        if (counts < 2).any():
            number = episodes[int(counts.argmin())].number
            raise HilserlError(f"Episode {number} has no action; a dataset of LeRobot cannot hold it.")
        numbers, lengths = _Numbers.joined(episodes, self.spec), (counts - 1).tolist()
        columns = self._columns(numbers, lengths)
        at_start = {"episode_index": np.zeros(sum(lengths)), "index": columns["frame_index"]}
        statistics = columns_statistics({**columns, **at_start}, lengths)
        arrays: dict[str, Any] = dict(columns)
        for camera, name in form.image_features(self.spec).items():
            sampled = [sampled_rows(length).tolist() for length in lengths]
            images = [episode.images(camera, rows) for episode, rows in zip(episodes, sampled, strict=True)]
            statistics[name] = stacked_statistics([image_statistics(some) for some in images])
            if not self.video:
                arrays[name] = pa.concat_arrays([episode.encoded(camera)[:-1] for episode in episodes])
        rows = pa.Table.from_arrays([_column(arrays[field.name], field) for field in schema], schema=schema)
        return PreparedEpisodes(rows, lengths, statistics, _ends(episodes, numbers, self.spec))

    def _columns(self, numbers: "_Numbers", lengths: Sequence[int]) -> dict[str, np.ndarray]:
        """Return the episodes' numbers by feature, [rows] or [rows, n]."""
        signed = numbers.action[numbers.acted]
        found = {"observation.state": numbers.state[numbers.observed], "action": signed}
        if self.gripper == "classes":
            found |= {"action": _with_classes(signed, self.spec), form.SIGNED_ACTION: signed}
        for name, (dtype, attribute) in form.PER_STEP.items():
            found[name] = numbers.table[attribute].to_numpy()[numbers.acted].astype(dtype)
        found["next.done"] = np.concatenate([np.arange(length) == length - 1 for length in lengths])
        if self.spec.action.grippers:
            found[form.PENALTY] = _penalties(found["observation.state"], signed, self.spec)
        index = np.concatenate([np.arange(length) for length in lengths])
        timestamp = (index / form.frames_per_second(self.spec)).astype(np.float32)
        return {**found, "timestamp": timestamp, "frame_index": index, "task_index": np.zeros(len(index), np.int64)}


@dataclass(frozen=True)
class _Numbers:
    """Numbers of all steps of consecutive episodes."""

    table: pa.Table
    action: np.ndarray
    """float32 [steps, n]."""
    state: np.ndarray
    """float32 [steps, n]."""
    acted: np.ndarray
    """Steps with an action, which are all but the resets, int [rows]."""
    observed: np.ndarray
    """Steps before them, int [rows]."""
    resets: np.ndarray
    """First step of each episode, int [episodes]."""
    lasts: np.ndarray
    """Last step of each episode, int [episodes]."""

    @classmethod
    def joined(cls, episodes: Sequence[StoredEpisode], spec: ExperienceSpec) -> "_Numbers":
        """Join the numbers of episodes."""
        table = pa.concat_tables([episode.numbers for episode in episodes]).combine_chunks()
        ends = np.cumsum([episode.numbers.num_rows for episode in episodes])
        resets = np.concatenate([[0], ends[:-1]])
        acted = np.delete(np.arange(table.num_rows), resets)
        action = matrix(table["action"], (spec.action.size,))
        state = matrix(table["observation.state"], (spec.state.size,))
        return cls(table, action, state, acted, acted - 1, resets, ends - 1)


def _column(values: Any, field: pa.Field) -> pa.Array:
    if isinstance(values, np.ndarray) and values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    return values if isinstance(values, pa.Array) else pa.array(values, field.type)


def _with_classes(actions: np.ndarray, spec: ExperienceSpec) -> np.ndarray:
    """Return actions whose grippers are 0 close, 1 stay, 2 open."""
    grippers = list(spec.action.grippers)
    changed = actions.copy()
    changed[:, grippers] = np.where(np.abs(actions[:, grippers]) > 0.5, np.sign(actions[:, grippers]), 0.0) + 1.0
    return changed


def _penalties(state: np.ndarray, action: np.ndarray, spec: ExperienceSpec) -> np.ndarray:
    """Return LeRobot's penalty of each action, float32 [rows]."""
    changes = gripper_changes(state[:, spec.gripper_state], action[:, list(spec.action.grippers)]).sum(1)
    return np.float32(_PENALTY) * changes.astype(np.float32) + np.float32(0)  # no -0.0


def ends_schema(spec: ExperienceSpec) -> pa.Schema:
    """Make the Arrow schema of the episodes' ends."""
    reset = arrow_schema(spec.only(()))
    fields = [pa.field(f"reset.{field.name}", field.type) for field in reset if field.name != "observation.state"]
    fields.append(pa.field("last.observation.state", reset.field("observation.state").type))
    return pa.schema([*fields, *(pa.field(f"last.observation.{camera}", IMAGE) for camera, _ in spec.images)])


def _ends(episodes: Sequence[StoredEpisode], numbers: _Numbers, spec: ExperienceSpec) -> pa.Table:
    """Make the rows of the resets' numbers and the last observations."""
    schema = ends_schema(spec)
    resets = numbers.table.take(pa.array(numbers.resets))
    columns = [
        resets[name.removeprefix("reset.")].combine_chunks() for name in schema.names if name.startswith("reset.")
    ]
    columns.append(vectors(numbers.state[numbers.lasts], spec.state.size, "state"))
    for camera, _ in spec.images:
        columns.append(pa.concat_arrays([episode.encoded(camera)[-1:] for episode in episodes]))
    return pa.Table.from_arrays(columns, schema=schema)
