"""Proposal of a mapping, with notes about what it could not know."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hilserl.data.spec import ExperienceSpec, StateEntry
from hilserl.datasets.frames import Frames
from hilserl.datasets.mapping import (
    UNKNOWN,
    DatasetMapping,
    EpisodeRules,
    Gripper,
    MappedAxis,
    MappedCamera,
    MappedEntry,
    Rotation,
)
from hilserl.datasets.source import Foreign, HilSerl, LeRobot
from hilserl.errors import HilserlError

_OPEN_GAP_M = 0.08
"""Gap of an open gripper.

Its position is 1 on HIL-SERL's robots."""
_MEANINGS = {
    "position": ("tcp_position", "tcp_from_start"),
    "rotation": ("tcp_quaternion", "tcp_turn_from_start"),
    "linear velocity": ("tcp_linear_velocity",),
    "angular velocity": ("tcp_angular_velocity",),
    "gripper": ("gripper_width",),
    "force": ("wrist_force",),
    "torque": ("wrist_torque",),
}
"""Beginnings of our state entries' names by meaning."""
_AXES = ("dx", "dy", "dz", "drx", "dry", "drz", "gripper")
"""HIL-SERL's action, in order, by the ends of our axes' names."""
_AXIS_NAMES = {"dx": ("delta_x", "x"), "dy": ("delta_y", "y"), "dz": ("delta_z", "z"), "gripper": ("gripper",)}
"""LeRobot's names of our axes."""


@dataclass
class Proposal:
    """A mapping with notes for the human who completes it."""

    mapping: DatasetMapping
    notes: list[str]


@dataclass(frozen=True)
class _Known:
    """Place of a quantity in a column."""

    column: str
    indices: tuple[int, ...]
    rotation: Rotation | None = None
    factor: float = 1.0


@dataclass
class _Columns:
    """All that is known of a dataset's columns."""

    known: dict[str, _Known] = field(default_factory=dict)
    """Places of quantities, by meaning or by the name of our entry."""
    axes: dict[str, tuple[str, int]] = field(default_factory=dict)
    """Columns and indices of our axes, by the ends of their names."""
    gripper: Gripper = "?"
    cameras: list[str] = field(default_factory=list)
    success: str = UNKNOWN
    operator: str = "always"
    notes: list[str] = field(default_factory=list)


def suggest_mapping(source: Foreign, spec: ExperienceSpec) -> Proposal:
    """Propose a mapping of a dataset to a spec.

    Raises:
        HilserlError: the dataset cannot be read, or holds no episode.
    """
    frames = next(source.frames(), None)
    if frames is None:
        raise HilserlError(f"{source.path} holds no episode.")
    if isinstance(source, LeRobot):
        columns, dt = _of_lerobot(source, frames), 1 / source.dataset.fps
    elif isinstance(source, HilSerl):
        columns, dt = _of_hil_serl(source, frames), spec.control_dt_s
    else:
        raise HilserlError(f"{source.path} is {source.kind}, which needs no mapping.")
    notes = [
        f"Mapping of {source.path.name} ({source.kind}) to the task {spec.task}, proposed by hilserl dataset convert.",
        f"Replace each {UNKNOWN!r}, check the rest, and convert with --map FILE; docs/data.md explains each entry.",
        *columns.notes,
    ]
    if abs(dt - spec.control_dt_s) > 1e-6:
        notes.append(f"The rows are {dt:.4g} s apart; a control step of the task takes {spec.control_dt_s:.4g} s.")
        notes.append("Training takes episodes of the task's own rate alone.")
    axes = tuple(_axis(name, index in spec.action.grippers, columns) for index, name in enumerate(spec.action.names))
    mapping = DatasetMapping(
        spec.task,
        dt,
        EpisodeRules(columns.success, operator=columns.operator),
        tuple(_entry(entry, columns) for entry in spec.state.entries),
        axes,
        tuple(_camera(name, shape, index, columns) for index, (name, shape) in enumerate(spec.images)),
    )
    open_ends = [f"It could not know: {', '.join(mapping.unknown)}."] if mapping.unknown else []
    return Proposal(mapping, [*notes, *open_ends, *_contents(frames)])


def _contents(frames: Frames) -> list[str]:
    """Describe the dataset's columns."""

    def shown(values: np.ndarray) -> str:
        rows = np.asarray(values, np.float64).reshape(len(values), -1)
        return f"{rows.shape[1]} numbers, {np.nanmin(rows):.4g} to {np.nanmax(rows):.4g} in the first episode"

    lines = [f"  {name}: {shown(values)}" for name, values in frames.columns.items()]
    lines += [f"  {name}: images of {next(images()).shape}" for name, images in frames.images.items()]
    return ["Columns of the dataset:", *lines]


def _entry(entry: StateEntry, columns: _Columns) -> MappedEntry:
    meaning = next((m for m, starts in _MEANINGS.items() if entry.name.startswith(starts)), entry.name)
    known = columns.known.get(entry.name) or columns.known.get(meaning)
    if known is not None:
        return MappedEntry(
            entry.name,
            entry.centre,
            entry.scale,
            known.column,
            known.indices,
            factor=known.factor,
            rotation=known.rotation,
        )
    if entry.name.endswith("_command"):
        return MappedEntry(entry.name, entry.centre, entry.scale, command_of=entry.name.removesuffix("_command"))
    return MappedEntry(entry.name, entry.centre, entry.scale, UNKNOWN, tuple(range(entry.size)))


def _axis(name: str, is_gripper: bool, columns: _Columns) -> MappedAxis:
    column, index = columns.axes.get(name) or columns.axes.get(name.rpartition("_")[2]) or (UNKNOWN, 0)
    return MappedAxis(name, column, index, gripper=columns.gripper if is_gripper else None)


def _camera(name: str, shape: tuple[int, int, int], index: int, columns: _Columns) -> MappedCamera:
    same = [column for column in columns.cameras if column.rpartition(".")[2] == name.replace("/", "_")]
    by_order = columns.cameras[index : index + 1]
    return MappedCamera(name, (same or by_order or [UNKNOWN])[0], shape[0], shape[1])


def _of_hil_serl(source: HilSerl, frames: Frames) -> _Columns:
    size, actions = frames.columns["state"].shape[1], frames.columns["actions"].shape[1]
    found = _Columns(cameras=list(frames.images), gripper="+1 opens")
    found.success = "infos.succeed" if "infos.succeed" in frames.columns else "rewards"
    if "infos.succeed" not in frames.columns and source.path.resolve().parent.name == "buffer":
        found.operator = "never"
    pose = {19: 6, 20: 7}.get(size)
    if pose is None:
        found.notes.append(f"A state of {size} numbers is none of HIL-SERL's usual ones (19 or 20).")
    else:
        after = 4 + pose
        found.known = {
            "gripper": _Known("state", (0,), factor=_OPEN_GAP_M),
            "force": _Known("state", (1, 2, 3)),
            "position": _Known("state", (4, 5, 6)),
            "rotation": _Known("state", tuple(range(7, after)), "euler_xyz" if pose == 6 else "quaternion_xyzw"),
            "torque": _Known("state", tuple(range(after, after + 3))),
            "linear velocity": _Known("state", tuple(range(after + 3, after + 6))),
            "angular velocity": _Known("state", tuple(range(after + 6, after + 9))),
        }
    names = {7: _AXES, 6: _AXES[:6], 4: (*_AXES[:3], "gripper")}.get(actions, ())
    found.axes = {name: ("actions", index) for index, name in enumerate(names)}
    found.notes += [
        "HIL-SERL's poses are relative to the pose at the reset, and its velocities and actions are in the tool's",
        "frame: record and train with --env.frame tool, unless the dataset was recorded without RelativeFrame.",
        "On its robots +1 opens and a position of 1 is open; hil-serl-sim has both the other way round.",
        "Its steps are of the size that its configuration says; set factor if a full step of the task is another.",
    ]
    return found


def _of_lerobot(source: LeRobot, frames: Frames) -> _Columns:
    features = source.dataset.features
    found = _Columns(cameras=source.dataset.image_names)
    for column in ("next.success", "next.reward"):
        if column in features:
            found.success = column
            break
    else:
        found.notes.append('Nothing tells success: success = "every episode" if each episode succeeds at its end.')
    if "complementary_info.is_intervention" in features:
        found.operator = "complementary_info.is_intervention"
    state_names = _names(features.get("observation.state", {}).get("names"))
    for index, name in enumerate(state_names):
        entry, _, number = name.rpartition(".")
        key = entry if number.isdigit() else name
        before = found.known.get(key)
        found.known[key] = _Known("observation.state", (*(before.indices if before else ()), index))
    action_names = _names(features.get("action", {}).get("names"))
    for index, name in enumerate(action_names):
        ends = [end for end, theirs in _AXIS_NAMES.items() if name in theirs]
        found.axes |= dict.fromkeys((name, *ends), ("action", index))
    if not action_names:
        size = frames.columns["action"].shape[1]
        found.axes = {name: ("action", index) for index, name in enumerate((*_AXES[: size - 1], "gripper"))}
        found.notes.append("The action's numbers have no names; they are taken in the order dx, dy, dz, ..., gripper.")
    found.notes += [
        "The gripper's sense cannot be seen: LeRobot's devices say 0 closes, 2 opens; gym-hil moves the other way;",
        "0 closed, 1 open is a position (SO-101 has 0 to 100: factor = 0.01).",
    ]
    return found


def _names(names: Any) -> list[str]:
    """Return the names of a feature's numbers.

    LeRobot writes a list or an object.
    """
    if isinstance(names, dict):
        names = next(iter(names.values())) if any(isinstance(v, list) for v in names.values()) else list(names)
    return [str(name) for name in names] if isinstance(names, list) else []
