"""The record of one control step, its Arrow schema, and episodes on disk.

Everything that is learned from passes through here in one form: a `Step` in memory, one row of `arrow_schema` on disk
and on a wire. A step holds what an action *led to*, so each observation is stored once: step 0 of an episode is its
reset, and step t carries the action executed from observation t-1 together with observation t.
"""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike

from hilserl.errors import HilserlError

FORMAT_VERSION = 3
METADATA_KEY = b"hilserl"
_CORRUPT = (pa.ArrowException, OSError, KeyError, TypeError, ValueError)


@dataclass(frozen=True)
class Entry:
    """A named run of numbers in the state vector.

    `centre` and `scale` (in the entry's unit) give its nominal range: a network sees `(value - centre) / scale`.
    """

    name: str
    size: int
    centre: tuple[float, ...]
    scale: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.centre) == len(self.scale) == self.size:
            raise HilserlError(
                f"Entry {self.name!r}: {self.size} numbers need as many centres and scales, "
                f"got {len(self.centre)} and {len(self.scale)}."
            )
        if min(self.scale) <= 0:
            raise HilserlError(f"Entry {self.name!r}: scales must be positive, got {self.scale}.")


def entry(name: str, size: int, centre: ArrayLike = 0.0, scale: ArrayLike = 1.0) -> Entry:
    """An `Entry` whose centre and scale may be one number for all components."""

    def spread(value: ArrayLike) -> tuple[float, ...]:
        return tuple(float(v) for v in np.broadcast_to(value, (size,)))

    return Entry(name, size, spread(centre), spread(scale))


@dataclass(frozen=True)
class StateLayout:
    """What each number of `observation["state"]` is: the entries in order."""

    entries: tuple[Entry, ...]

    @property
    def size(self) -> int:
        return sum(e.size for e in self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(e.name for e in self.entries)

    @property
    def centre(self) -> np.ndarray:
        """float32 [size]"""
        return np.array([c for e in self.entries for c in e.centre], np.float32)

    @property
    def scale(self) -> np.ndarray:
        """float32 [size]"""
        return np.array([s for e in self.entries for s in e.scale], np.float32)

    def slice(self, name: str) -> slice:
        """Where an entry lies in the state vector."""
        start = 0
        for e in self.entries:
            if e.name == name:
                return slice(start, start + e.size)
            start += e.size
        raise HilserlError(f"The state has no entry {name!r}; it has: {', '.join(self.names)}.")

    def pack(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """The state vector, float32 [size], of a dict that has exactly this layout's names."""
        if values.keys() != set(self.names):
            raise HilserlError(f"State entries {sorted(values)} do not match the layout {sorted(self.names)}.")
        parts = [np.atleast_1d(values[e.name]) for e in self.entries]
        for e, part in zip(self.entries, parts, strict=True):
            if part.shape != (e.size,):
                raise HilserlError(f"State entry {e.name!r} has shape {part.shape}, expected ({e.size},).")
        return np.concatenate(parts, dtype=np.float32)


@dataclass(frozen=True)
class ActionLayout:
    """What each number of an action is, all in [-1, 1]. Grippers: -1 closes, +1 opens, 0 holds."""

    names: tuple[str, ...]
    grippers: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return len(self.names)

    @property
    def continuous(self) -> tuple[int, ...]:
        """The indices that are not grippers."""
        return tuple(i for i in range(self.size) if i not in self.grippers)


@dataclass(frozen=True)
class ExperienceSpec:
    """All that two programs must agree on before they exchange steps."""

    task: str
    state: StateLayout
    action: ActionLayout
    images: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    """(camera name, (height, width, 3)) in order."""
    control_dt_s: float = 0.1

    @property
    def step_bytes(self) -> int:
        """What a step's observation and action take, uncompressed."""
        pixels = sum(height * width * channels for _, (height, width, channels) in self.images)
        return pixels + 4 * (self.state.size + self.action.size)

    def only(self, cameras: Sequence[str]) -> "ExperienceSpec":
        """The same with no other cameras than these, in their order."""
        shapes = dict(self.images)
        return replace(self, images=tuple((name, shapes[name]) for name in cameras if name in shapes))

    @property
    def gripper_state(self) -> list[int]:
        """Where the state tells each gripper's command (+1 open, -1 closed), in the order of `action.grippers`."""
        return [self.state.slice(f"{self.action.names[i]}_command").start for i in self.action.grippers]

    def to_json(self) -> str:
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "ExperienceSpec":
        raw = json.loads(text)
        if raw["format_version"] != FORMAT_VERSION:
            raise HilserlError(
                f"This experience has format version {raw['format_version']}; this program reads {FORMAT_VERSION}."
            )
        entries = tuple(
            Entry(e["name"], e["size"], tuple(e["centre"]), tuple(e["scale"])) for e in raw["state"]["entries"]
        )
        return cls(
            raw["task"],
            StateLayout(entries),
            ActionLayout(tuple(raw["action"]["names"]), tuple(raw["action"]["grippers"])),
            tuple((name, (shape[0], shape[1], shape[2])) for name, shape in raw["images"]),
            raw["control_dt_s"],
        )


@dataclass(frozen=True)
class Step:
    """What one control step led to; step 0 of an episode is its reset, with a zero action."""

    episode: int
    index: int
    observation: dict[str, np.ndarray]
    """`state`: float32 [n]; each camera: uint8 [height, width, 3]."""
    action: np.ndarray
    """float32 [m], as executed, whoever chose it."""
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    success: bool = False
    """What is learned from: the reward's word, or that of a person, which goes before it."""
    claimed: bool = False
    """The reward's word, before anybody denied it."""
    truth: bool = False
    """What the environment itself knows, noted and not learned from; as `success` where it knows nothing."""
    intervened: bool = False
    """A person (or the simulated operator) chose the action."""
    policy_version: int = 0
    """How many learner rounds the weights had seen that chose the action."""
    human_seconds: float = 0.0
    """How much of a person's time the step took; 0 where the policy acted."""
    seed: int = 0
    """What the episode's environment was reset with, so that it can be played again."""

    @property
    def is_reset(self) -> bool:
        return self.index == 0

    @property
    def ends_episode(self) -> bool:
        return self.terminated or self.truncated


class Transitions(NamedTuple):
    """What an agent learns from, in NumPy's or JAX's arrays; all have the same leading axes."""

    observation: dict[str, Any]
    action: Any
    """float32 [..., m]"""
    reward: Any
    """float32 [...]"""
    next_observation: dict[str, Any]
    bootstrap: Any
    """float32 [...]: 0 where the episode terminated, else 1."""
    demonstrated: Any
    """bool [...]: whether a person chose the action, in a demonstration or an intervention."""


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


def arrow_schema(spec: ExperienceSpec) -> pa.Schema:
    """The one schema of experience; the spec travels in its metadata."""
    fields = [pa.field(name, kind, nullable=False) for name, kind in _SCALARS]
    fields.append(pa.field("action", pa.list_(pa.float32(), spec.action.size), nullable=False))
    fields.append(pa.field("observation.state", pa.list_(pa.float32(), spec.state.size), nullable=False))
    for name, shape in spec.images:
        kind = pa.fixed_shape_tensor(pa.uint8(), shape, dim_names=("height", "width", "channel"))
        fields.append(pa.field(f"observation.{name}", kind, nullable=False))
    return pa.schema(fields, metadata={METADATA_KEY: spec.to_json().encode()})


def to_table(steps: Sequence[Step], spec: ExperienceSpec) -> pa.Table:
    """Steps as an Arrow table. Raises HilserlError where a step does not fit the spec or holds a NaN."""
    schema = arrow_schema(spec)
    columns: dict[str, pa.Array] = {name: pa.array([getattr(s, name) for s in steps], kind) for name, kind in _SCALARS}
    columns["action"] = _vectors([s.action for s in steps], spec.action.size, "action")
    columns["observation.state"] = _vectors([s.observation["state"] for s in steps], spec.state.size, "state")
    for name, shape in spec.images:
        frames = np.stack([s.observation[name] for s in steps])
        if frames.shape[1:] != shape or frames.dtype != np.uint8:
            raise HilserlError(f"Camera {name!r} gave {frames.dtype} {frames.shape[1:]}, expected uint8 {shape}.")
        kind = schema.field(f"observation.{name}").type
        storage = pa.FixedSizeListArray.from_arrays(pa.array(frames.reshape(-1)), int(np.prod(shape)))
        columns[f"observation.{name}"] = pa.ExtensionArray.from_storage(kind, storage)
    return pa.Table.from_arrays([columns[name] for name in schema.names], schema=schema)


def _vectors(rows: Sequence[np.ndarray], size: int, what: str) -> pa.Array:
    values = np.stack(rows).astype(np.float32)
    if values.shape[1:] != (size,):
        raise HilserlError(f"The {what} has shape {values.shape[1:]}, expected ({size},).")
    if not np.isfinite(values).all():
        raise HilserlError(f"The {what} holds a number that is not finite: {values[~np.isfinite(values)][0]}.")
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), size)


def from_table(table: pa.Table) -> tuple[list[Step], ExperienceSpec]:
    """The steps of a table that `to_table` made, with their spec. Raises HilserlError on any other table."""
    metadata = table.schema.metadata or {}
    if METADATA_KEY not in metadata:
        raise HilserlError(f"This table is not hilserl experience; its columns are {', '.join(table.schema.names)}.")
    spec = ExperienceSpec.from_json(metadata[METADATA_KEY])
    if table.schema != arrow_schema(spec):
        raise HilserlError(f"This table's columns {table.schema.names} are not those its own description demands.")
    return rows_to_steps(table, spec), spec


def rows_to_steps(table: pa.Table | pa.RecordBatch, spec: ExperienceSpec) -> list[Step]:
    """The steps of a table whose schema is known to be `arrow_schema(spec)`."""
    columns = {name: table[name].to_pylist() for name, _ in _SCALARS}
    action = _matrix(table["action"], (spec.action.size,))
    observations = {"state": _matrix(table["observation.state"], (spec.state.size,))}
    for name, shape in spec.images:
        observations[name] = _matrix(table[f"observation.{name}"], shape)
    return [
        Step(
            action=action[i],
            observation={key: value[i] for key, value in observations.items()},
            **{name: column[i] for name, column in columns.items()},
        )
        for i in range(table.num_rows)
    ]


def _matrix(column: pa.ChunkedArray | pa.Array, shape: tuple[int, ...]) -> np.ndarray:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    storage = array.storage if isinstance(array, pa.ExtensionArray) else array
    return storage.flatten().to_numpy(zero_copy_only=False).reshape(-1, *shape)


def write_episode(path: Path, steps: Sequence[Step], spec: ExperienceSpec) -> None:
    """Writes one episode so that the file is either whole or absent, whatever happens meanwhile."""
    table = to_table(steps, spec)
    atomically(path, lambda part: pq.write_table(table, part, compression="zstd"))


def episode_files(folder: Path) -> list[Path]:
    """The files of a folder's episodes, in order. Raises HilserlError where there is no folder."""
    if not folder.is_dir():
        raise HilserlError(f"There is no directory {folder} with recorded episodes.")
    return sorted(folder.glob("*.parquet"))


def read_episode(path: Path) -> tuple[list[Step], ExperienceSpec]:
    """One episode's steps. Raises HilserlError naming the file when it is damaged or not ours."""
    try:
        steps, spec = from_table(pq.read_table(path))
    except (HilserlError, *_CORRUPT) as error:
        raise HilserlError(f"Cannot read the episode file {path}: {error}") from error
    expected = list(range(len(steps)))
    if not steps or [s.index for s in steps] != expected or len({s.episode for s in steps}) != 1:
        raise HilserlError(f"The episode file {path} does not hold one whole episode in order.")
    return steps, spec


def atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write(part)` for a file beside `path`, syncs it to disk and renames it to `path`.

    Raises HilserlError when the disk refuses; what was at `path` before is still there then.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise HilserlError(f"Cannot write {path}: {error}") from error
