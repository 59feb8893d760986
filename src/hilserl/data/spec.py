"""Layouts of state, action and images that producer and consumer share."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from hilserl.errors import HilserlError

FORMAT_VERSION = 3


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
