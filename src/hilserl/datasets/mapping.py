"""Mapping files: the meaning of another program's columns, as TOML."""

import dataclasses
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from hilserl.data.spec import ActionLayout, ExperienceSpec, StateEntry, StateLayout
from hilserl.errors import HilserlError
from hilserl.files import atomically

UNKNOWN = "?"
"""Value that a human has to replace."""
FILE_NAME = "hilserl_map.toml"
"""Name of the mapping inside a dataset's directory."""
Rotation = Literal["euler_xyz", "quaternion_xyzw", "quaternion_wxyz", "rotation_vector"]
"""Form of a rotation.

Angles are extrinsic about x, y, z in radians, as SciPy's "xyz"; a rotation vector is axis times angle."""
Gripper = Literal["+1 opens", "+1 closes", "0 closes, 2 opens", "0 opens, 2 closes", "0 closed, 1 open", "?"]
"""Meaning of a gripper's numbers.

They are a signed command, a class of which 1 holds, or the opening to move to as a fraction."""


@dataclass(frozen=True)
class MappedEntry:
    """An entry of the state with its column.

    `value = factor * column[indices] + offset`.
    """

    name: str
    centre: tuple[float, ...]
    scale: tuple[float, ...]
    column: str = ""
    """Column; empty for `constant` and `command_of`."""
    indices: tuple[int, ...] = ()
    factor: float = 1.0
    offset: float = 0.0
    rotation: Rotation | None = None
    """Form of the rotation in the column.

    The entry is a quaternion wxyz."""
    constant: tuple[float, ...] = ()
    """Numbers of an entry that the dataset does not have."""
    command_of: str = ""
    """Gripper whose last command the entry is, +1 at first."""


@dataclass(frozen=True)
class MappedAxis:
    """A number of the action with its column.

    `value = factor * column[index]`.
    """

    name: str
    column: str
    index: int = 0
    factor: float = 1.0
    gripper: Gripper | None = None
    """Meaning of a gripper's numbers; other axes have none."""


@dataclass(frozen=True)
class MappedCamera:
    """A camera with its column; images of another size are resized."""

    name: str
    column: str
    height: int
    width: int


@dataclass(frozen=True)
class EpisodeRules:
    """Meaning of rewards and ends."""

    success: str
    """Column that is positive in a row of success.

    `every episode` if each succeeds at its end."""
    reward: str = ""
    """Column of the reward; empty: 1 with the success."""
    operator: str = "always"
    """Column that is true where the operator chose the action.

    `always` in demonstrations, or `never`."""
    beyond: Literal["refuse", "clip"] = "refuse"
    """Treatment of an action beyond [-1, 1]."""


@dataclass(frozen=True)
class DatasetMapping:
    """Correspondence between another program's columns and a spec."""

    task: str
    control_dt_s: float
    episodes: EpisodeRules
    state: tuple[MappedEntry, ...]
    action: tuple[MappedAxis, ...]
    camera: tuple[MappedCamera, ...] = ()
    version: Literal[1] = 1

    @property
    def spec(self) -> ExperienceSpec:
        """Layout of the converted episodes."""
        entries = tuple(StateEntry(e.name, len(e.centre), e.centre, e.scale) for e in self.state)
        grippers = tuple(i for i, axis in enumerate(self.action) if axis.gripper)
        layout = ActionLayout(tuple(axis.name for axis in self.action), grippers)
        images = tuple((c.name, (c.height, c.width, 3)) for c in self.camera)
        return ExperienceSpec(self.task, StateLayout(entries), layout, images, self.control_dt_s)

    @property
    def unknown(self) -> list[str]:
        """Names of what a human has to decide still."""
        asked = [("state", e.name) for e in self.state if UNKNOWN in (e.column, e.command_of)]
        asked += [("action", a.name) for a in self.action if UNKNOWN in (a.column, a.gripper)]
        asked += [("camera", c.name) for c in self.camera if c.column == UNKNOWN]
        asked += [("episodes", "success")] * (self.episodes.success == UNKNOWN)
        return [f"{table} {name}" for table, name in asked]


def read_mapping(path: Path) -> DatasetMapping:
    """Read a mapping file that leaves nothing open.

    Raises:
        HilserlError: a name or a type is wrong, or an entry is still unknown.
    """
    try:
        with path.open("rb") as file:
            mapping = msgspec.convert(_strict(tomllib.load(file)), DatasetMapping)
        _ = mapping.spec
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError, HilserlError) as error:
        raise HilserlError(f"Cannot read the mapping {path}: {error}") from error
    if mapping.unknown:
        raise HilserlError(
            f"The mapping {path} leaves open: {', '.join(mapping.unknown)}. Replace each {UNKNOWN!r} by a column, or "
            "state entries by constant = [...]; docs/data.md explains each."
        )
    return mapping


_TABLES = {"episodes": EpisodeRules, "state": MappedEntry, "action": MappedAxis, "camera": MappedCamera}


def _strict(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Check that every name exists."""
    _check_names("mapping", raw, DatasetMapping)
    for table, form in _TABLES.items():
        rows = raw.get(table, [])
        for row in [rows] if isinstance(rows, dict) else rows:
            _check_names(table, row, form)
    return raw


def _check_names(table: str, row: Mapping[str, Any], form: Any) -> None:
    names = {field.name for field in dataclasses.fields(form)}
    if wrong := sorted(row.keys() - names):
        raise HilserlError(f"{table} has no {wrong[0]!r}. Available: {', '.join(sorted(names))}.")


def write_mapping(path: Path, mapping: DatasetMapping, notes: list[str]) -> None:
    """Write a mapping file with notes at its top.

    Raises:
        HilserlError: the file exists, or the disk refuses.
    """
    if path.exists():
        raise HilserlError(f"{path} exists already; name another file with --out.")
    text = _text(mapping, notes)
    atomically(path, lambda part: part.write_text(text))


def _text(mapping: DatasetMapping, notes: list[str]) -> str:
    lines = [f"# {note}" for note in notes]
    lines += ["", f"version = {mapping.version}", f"task = {_toml(mapping.task)}"]
    lines += [f"control_dt_s = {mapping.control_dt_s}", "", "[episodes]", *_rows(mapping.episodes)]
    for name, rows in (("state", mapping.state), ("action", mapping.action), ("camera", mapping.camera)):
        for row in rows:
            lines += ["", f"[[{name}]]", *_rows(row)]
    return "\n".join(lines) + "\n"


def _rows(table: Any) -> list[str]:
    """Format the values of a table that differ from their defaults."""
    values = {field.name: (getattr(table, field.name), field.default) for field in dataclasses.fields(table)}
    return [f"{name} = {_toml(value)}" for name, (value, default) in values.items() if value != default]


def _toml(value: Any) -> str:
    """Format a value; JSON's texts, numbers and lists are TOML's as well."""
    return json.dumps(list(value) if isinstance(value, tuple) else value)
