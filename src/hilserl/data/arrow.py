"""Conversion of steps to Arrow tables, on disk as on the wire."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa

from hilserl.data.checks import NumberCheck
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError

METADATA_KEY = b"hilserl"
"""Key of the spec in the schema's metadata."""

_SCALARS: tuple[tuple[str, pa.DataType], ...] = (
    ("episode", pa.int64()),
    ("index", pa.int32()),
    ("reward", pa.float32()),
    ("terminated", pa.bool_()),
    ("truncated", pa.bool_()),
    ("success", pa.bool_()),
    ("claimed", pa.bool_()),
    ("truth", pa.bool_()),
    ("intervened", pa.bool_()),
    ("policy_version", pa.int64()),
    ("human_seconds", pa.float32()),
    ("seed", pa.int64()),
)


@lru_cache(maxsize=16)
def arrow_schema(spec: ExperienceSpec) -> pa.Schema:
    """Make the schema of a spec's steps; its metadata holds the spec."""
    fields = [pa.field(name, kind, nullable=False) for name, kind in _SCALARS]
    fields.append(pa.field("action", pa.list_(pa.float32(), spec.action.size), nullable=False))
    fields.append(pa.field("observation.state", pa.list_(pa.float32(), spec.state.size), nullable=False))
    for name, shape in spec.images:
        kind = pa.fixed_shape_tensor(pa.uint8(), shape, dim_names=("height", "width", "channel"))
        fields.append(pa.field(f"observation.{name}", kind, nullable=False))
    return pa.schema(fields, metadata={METADATA_KEY: spec.to_json().encode()})


def to_table(steps: Sequence[Step], spec: ExperienceSpec) -> pa.Table:
    """Convert steps to an Arrow table.

    Raises:
        HilserlError: a step does not fit the spec, or holds a number that is not finite.
    """
    schema = arrow_schema(spec)
    columns: dict[str, pa.Array] = {name: pa.array([getattr(s, name) for s in steps], kind) for name, kind in _SCALARS}
    columns["action"] = vectors(np.stack([s.action for s in steps]), spec.action.size, "action")
    columns["observation.state"] = vectors(np.stack([s.observation["state"] for s in steps]), spec.state.size, "state")
    for name, shape in spec.images:
        images = stacked_images(steps, name, shape)
        kind = schema.field(f"observation.{name}").type
        storage = pa.FixedSizeListArray.from_arrays(pa.array(images.reshape(-1)), int(np.prod(shape)))
        columns[f"observation.{name}"] = pa.ExtensionArray.from_storage(kind, storage)
    table = pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)
    _check_numbers(table, spec)
    return table


def stacked_images(steps: Sequence[Step], camera: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Stack a camera's images, uint8 [steps, height, width, 3].

    Raises:
        HilserlError: the images are of another shape or type.
    """
    images = np.stack([step.observation[camera] for step in steps])
    if images.shape[1:] != shape or images.dtype != np.uint8:
        raise HilserlError(f"Camera {camera!r} gave {images.dtype} {images.shape[1:]}, expected uint8 {shape}.")
    return images


def vectors(values: np.ndarray, size: int, column: str) -> pa.Array:
    """Make a column of float32 vectors.

    Args:
        values: the vectors, [rows, size].
        size: length of a vector.
        column: name of the column, for the error.

    Raises:
        HilserlError: the vectors have another length.
    """
    if values.shape[1:] != (size,):
        raise HilserlError(f"The {column} has shape {values.shape[1:]}, expected ({size},).")
    return pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float32).reshape(-1)), size)


def from_table(table: pa.Table) -> tuple[list[Step], ExperienceSpec]:
    """Convert a table of `to_table` to its steps and their spec.

    Raises:
        HilserlError: for any other table.
    """
    spec = check_table(table)
    return rows_to_steps(table, spec), spec


def check_table(table: pa.Table) -> ExperienceSpec:
    """Return the spec of a table that `to_table` could have made.

    Raises:
        HilserlError: for any other table.
    """
    metadata = table.schema.metadata or {}
    if METADATA_KEY not in metadata:
        raise HilserlError(f"This table is not hilserl experience; its columns are {', '.join(table.schema.names)}.")
    spec = ExperienceSpec.from_json(metadata[METADATA_KEY])
    if table.schema != arrow_schema(spec):
        expected = arrow_schema(spec).names
        raise HilserlError(f"This table's columns {table.schema.names} differ from those of its spec, {expected}.")
    _check_numbers(table, spec)
    return spec


def _check_numbers(table: pa.Table, spec: ExperienceSpec) -> None:
    """Raise HilserlError for a number that no step may have."""
    numbers = {name: table[name].to_numpy() for name in ("reward", "human_seconds")}
    numbers |= {"action": matrix(table["action"], (spec.action.size,))}
    numbers |= {"state": matrix(table["observation.state"], (spec.state.size,))}
    _number_check(spec)(numbers, "The episode")


_number_check = lru_cache(maxsize=16)(NumberCheck)


def rows_to_steps(table: pa.Table | pa.RecordBatch, spec: ExperienceSpec) -> list[Step]:
    """Convert a table to its steps, given that its schema is `arrow_schema(spec)`."""
    columns = {name: table[name].to_pylist() for name, _ in _SCALARS}
    action = matrix(table["action"], (spec.action.size,))
    observations = {"state": matrix(table["observation.state"], (spec.state.size,))}
    for name, shape in spec.images:
        observations[name] = matrix(table[f"observation.{name}"], shape)
    return [
        Step(
            action=action[i],
            observation={key: value[i] for key, value in observations.items()},
            **{name: column[i] for name, column in columns.items()},
        )
        for i in range(table.num_rows)
    ]


def matrix(column: pa.ChunkedArray | pa.Array, shape: tuple[int, ...]) -> np.ndarray:
    """Return a column of vectors or images as an array [rows, *shape]."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    return storage.flatten().to_numpy(zero_copy_only=False).reshape(-1, *shape)
