"""Episodes in LeRobot's form, before they have a place in a dataset."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from hilserl.data.arrow import arrow_schema, to_table
from hilserl.data.spec import ExperienceSpec, count_changes
from hilserl.data.step import Step
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
        tables, statistics = [], []
        for episode in episodes:
            if len(episode.steps) < 2:
                number = episode.steps[0].episode
                raise HilserlError(f"Episode {number} has no action; a dataset of LeRobot cannot hold it.")
            columns = self._columns(episode.steps)
            at_start = {"episode_index": np.zeros(len(columns["frame_index"])), "index": columns["frame_index"]}
            found = columns_statistics({**columns, **at_start})
            arrays: dict[str, Any] = dict(columns)
            for camera, name in form.image_features(self.spec).items():
                sampled = sampled_rows(len(episode.steps) - 1).tolist()
                found[name] = image_statistics(episode.images(camera, sampled))
                if not self.video:
                    arrays[name] = episode.encoded(camera)[:-1]
            tables.append(pa.Table.from_arrays([_column(arrays[field.name], field) for field in schema], schema=schema))
            statistics.append(found)
        ends = pa.concat_tables([_ends(episode) for episode in episodes])
        rows = pa.concat_tables(tables)
        return PreparedEpisodes(rows, [t.num_rows for t in tables], stacked_statistics(statistics), ends)

    def _columns(self, steps: Sequence[Step]) -> dict[str, np.ndarray]:
        """Return an episode's numbers by feature, [rows] or [rows, n]."""
        table = to_table(steps, self.spec.only(()))  # checks the shapes, and that all numbers are finite
        rows = len(steps) - 1
        signed = np.stack([step.action for step in steps[1:]]).astype(np.float32)
        state = np.stack([step.observation["state"] for step in steps[:-1]]).astype(np.float32)
        found = {"observation.state": state, "action": signed}
        if self.gripper == "classes":
            found |= {"action": _with_classes(signed, self.spec), form.SIGNED_ACTION: signed}
        for name, (dtype, attribute) in form.PER_STEP.items():
            found[name] = table[attribute].to_numpy()[1:].astype(dtype)
        found["next.done"] = np.arange(rows) == rows - 1
        if self.spec.action.grippers:
            found[form.PENALTY] = _penalties(steps, self.spec)
        index = np.arange(rows)
        timestamp = (index / form.frames_per_second(self.spec)).astype(np.float32)
        return {**found, "timestamp": timestamp, "frame_index": index, "task_index": np.zeros(rows, np.int64)}


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
