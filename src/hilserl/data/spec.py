"""Layouts of state, action and images that two programs share."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from hilserl.errors import HilserlError, unknown

FORMAT_VERSION = 3
"""Version of the format of recorded and transmitted experience."""
UNNAMED_ARMS = ("", "second", "third", "fourth")
"""Names of arms whose numbers have no known meaning."""


@dataclass(frozen=True)
class StateEntry:
    """Named group of consecutive numbers in the state vector.

    `centre` and `scale` give the nominal range: the networks' input is `(value - centre) / scale`.
    """

    name: str
    size: int
    centre: tuple[float, ...]
    """Centre of each number's nominal range, in the entry's unit."""
    scale: tuple[float, ...]
    """Half of each number's nominal range, in the entry's unit."""

    def __post_init__(self) -> None:
        if not len(self.centre) == len(self.scale) == self.size:
            raise HilserlError(
                f"Entry {self.name!r}: {self.size} numbers need as many centres and scales, "
                f"got {len(self.centre)} and {len(self.scale)}."
            )
        if min(self.scale) <= 0:
            raise HilserlError(f"Entry {self.name!r}: scales must be positive, got {self.scale}.")


def entry(
    name: str,
    size: int,
    centre: float | Sequence[float] | np.ndarray = 0.0,
    scale: float | Sequence[float] | np.ndarray = 1.0,
) -> StateEntry:
    """Make a state entry.

    Args:
        name: name with the unit, as in `tcp_position_m`.
        size: how many numbers it has.
        centre: centre of the nominal range, one for all numbers or one for each.
        scale: half of the nominal range, one for all numbers or one for each.
    """

    def spread(value: float | Sequence[float] | np.ndarray) -> tuple[float, ...]:
        return tuple(float(v) for v in np.broadcast_to(value, (size,)))

    return StateEntry(name, size, spread(centre), spread(scale))


@dataclass(frozen=True)
class StateLayout:
    """Order and meaning of the numbers in `observation["state"]`."""

    entries: tuple[StateEntry, ...]

    @property
    def size(self) -> int:
        """Length of the state vector."""
        return sum(e.size for e in self.entries)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the entries, in order."""
        return tuple(e.name for e in self.entries)

    @property
    def centre(self) -> np.ndarray:
        """Centres of the nominal ranges, float32 [size]."""
        return np.array([c for e in self.entries for c in e.centre], np.float32)

    @property
    def scale(self) -> np.ndarray:
        """Halves of the nominal ranges, float32 [size]."""
        return np.array([s for e in self.entries for s in e.scale], np.float32)

    def slice(self, name: str) -> slice:
        """Find an entry's slice of the state vector."""
        start = 0
        for e in self.entries:
            if e.name == name:
                return slice(start, start + e.size)
            start += e.size
        raise HilserlError(f"The state has no entry {name!r}. Available: {', '.join(self.names)}.")

    def pack(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """Concatenate the entries' values to the state vector, float32 [size].

        Args:
            values: array of each entry, by name; the names are exactly those of the layout.
        """
        if values.keys() != set(self.names):
            raise HilserlError(f"State entries {sorted(values)} do not match the layout {sorted(self.names)}.")
        parts = [np.atleast_1d(values[e.name]) for e in self.entries]
        for e, part in zip(self.entries, parts, strict=True):
            if part.shape != (e.size,):
                raise HilserlError(f"State entry {e.name!r} has shape {part.shape}, expected ({e.size},).")
        return np.concatenate(parts, dtype=np.float32)


@dataclass(frozen=True)
class ActionLayout:
    """Order and meaning of an action's numbers, all in [-1, 1]."""

    names: tuple[str, ...]
    grippers: tuple[int, ...] = ()
    """Indices of the grippers' numbers: -1 closes, +1 opens, 0 holds."""

    @property
    def size(self) -> int:
        """Length of an action."""
        return len(self.names)

    @property
    def continuous(self) -> tuple[int, ...]:
        """Indices of the continuous action: all that are not grippers."""
        return tuple(i for i in range(self.size) if i not in self.grippers)


def count_changes(commands: np.ndarray, actions: np.ndarray) -> int:
    """Count the grippers that an action sets in motion.

    These are told to close while open, or to open while closed. Without commands, as at a reset, there are none.

    Args:
        commands: the grippers' commands before the action, +1 open and -1 closed, float32 [grippers] or empty.
        actions: gripper actions in [-1, 1], float32 [grippers]; the nearest of -1, 0 and 1 counts.
    """
    return int(gripper_changes(commands, actions).sum()) if commands.size else 0


def gripper_changes(commands: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Mark the grippers that actions set in motion, bool [..., grippers].

    Args:
        commands: the grippers' commands before each action, float32 [..., grippers].
        actions: gripper actions, float32 [..., grippers].
    """
    return (np.abs(actions) > 0.5) & (commands * actions < 0)


@dataclass(frozen=True)
class ExperienceSpec:
    """Agreement of two programs that exchange steps."""

    task: str
    state: StateLayout
    action: ActionLayout
    images: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    """Cameras in order, each (name, (height, width, 3))."""
    control_dt_s: float = 0.1
    """Duration of a control step."""

    @property
    def step_bytes(self) -> int:
        """Bytes of one step's observation and action, uncompressed."""
        pixels = sum(height * width * channels for _, (height, width, channels) in self.images)
        return pixels + 4 * (self.state.size + self.action.size)

    def only(self, cameras: Sequence[str]) -> "ExperienceSpec":
        """Keep only these cameras, in their order; unknown names are ignored."""
        shapes = dict(self.images)
        return replace(self, images=tuple((name, shapes[name]) for name in cameras if name in shapes))

    @property
    def gripper_state(self) -> list[int]:
        """Indices of the grippers' commands in the state.

        They are in the order of `action.grippers`. A command is +1 for open and -1 for closed.
        """
        return [self.state.slice(f"{self.action.names[i]}_command").start for i in self.action.grippers]

    def to_json(self) -> str:
        """Write the spec with its format version as JSON."""
        return json.dumps({"format_version": FORMAT_VERSION, **asdict(self)}, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "ExperienceSpec":
        """Read the JSON of `to_json`.

        Raises:
            HilserlError: for another format version, and for keys that are unknown or missing.
        """
        return _read_spec(text)


@lru_cache(maxsize=16)
def _read_spec(text: str | bytes) -> ExperienceSpec:
    # Cached: every episode file has one, and a recording has one spec.
    raw = json.loads(text)
    if (found := raw["format_version"]) != FORMAT_VERSION:
        raise HilserlError(f"This experience has format version {found}; this program reads {FORMAT_VERSION}.")
    del raw["format_version"]
    _check_keys(raw, ExperienceSpec, "")
    _check_keys(raw["state"], StateLayout, "state.")
    _check_keys(raw["action"], ActionLayout, "action.")
    for index, each in enumerate(raw["state"]["entries"]):
        _check_keys(each, StateEntry, f"state.entries[{index}].")
    entries = tuple(
        StateEntry(e["name"], e["size"], tuple(e["centre"]), tuple(e["scale"])) for e in raw["state"]["entries"]
    )
    return ExperienceSpec(
        raw["task"],
        StateLayout(entries),
        ActionLayout(tuple(raw["action"]["names"]), tuple(raw["action"]["grippers"])),
        tuple((name, (shape[0], shape[1], shape[2])) for name, shape in raw["images"]),
        raw["control_dt_s"],
    )


def _check_keys(raw: dict[str, Any], kind: type, place: str) -> None:
    """Raise HilserlError unless the keys are exactly a dataclass's fields.

    A key that is ignored would be a number that somebody meant, such as another control step.
    """
    names = [each.name for each in fields(kind)]
    for name in raw:
        if name not in names:
            raise unknown("key of the experience's layout", f"{place}{name}", [f"{place}{each}" for each in names])
    if missing := [f"{place}{name}" for name in names if name not in raw]:
        raise HilserlError(f"The experience's layout lacks {', '.join(missing)}.")


def differences(found: ExperienceSpec, spec: ExperienceSpec) -> str:
    """Show what differs between two specs, and nothing else.

    Args:
        found: spec of what was read.
        spec: spec that was expected.
    """

    def shown(each: ExperienceSpec) -> dict[str, str]:
        sizes = {entry.name: f"{entry.size}" for entry in each.state.entries}
        parts = {"task": each.task, "control step": f"{each.control_dt_s} s"}
        parts |= {f"state entry {name}": f"{size} numbers" for name, size in sizes.items()}
        parts |= {f"camera {name}": f"{height} x {width}" for name, (height, width, _) in each.images}
        return parts | {"action": ", ".join(each.action.names), "grippers": str(each.action.grippers)}

    theirs, ours = shown(found), shown(spec)
    pairs = [(name, theirs.get(name, "none"), ours.get(name, "none")) for name in theirs | ours]
    different = [f"{name} is {its}, expected {our}" for name, its, our in pairs if its != our]
    return "; ".join(different) or "its state has other nominal ranges, or its entries another order"
