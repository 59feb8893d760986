"""Reader of HIL-SERL's pickled transitions, which runs nothing that they hold."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hilserl.datasets.frames import Frames, ImageStream
from hilserl.errors import HilserlError
from hilserl.vision.pickle_file import read_pickled_values

_KEYS = {"observations", "actions", "next_observations", "rewards", "dones"}
CAMERA_AXES = 4
"""Axes of an image in an observation.

The first is its history, of which the last counts."""


def pickle_files(path: Path) -> list[Path]:
    """List the pickles of a file or a directory, in order."""
    if path.is_dir():
        # `transitions_1000.pkl` comes before `transitions_10000.pkl`.
        return sorted(path.glob("*.pkl"), key=lambda file: (len(file.name), file.name))
    return [path]


def transitions(path: Path) -> list[dict[str, Any]]:
    """Read the transitions of a pickle.

    Raises:
        HilserlError: the file is damaged, or is not a list of transitions.
    """
    found = read_pickled_values(path)
    if not isinstance(found, list) or not found:
        raise HilserlError(f"{path} holds {type(found).__name__}; expected a list of transitions, as HIL-SERL writes.")
    for row, transition in enumerate(found):
        missing = _KEYS - set(transition) if isinstance(transition, dict) else _KEYS
        if missing:
            raise HilserlError(f"{path}: transition {row} lacks {', '.join(sorted(missing))}.")
        if (layout := _layout(transition)) != (first := _layout(found[0])) or None in first.values():
            raise HilserlError(f"{path}: transition {row} holds {layout}, and the first one {first}.")
    return found


def _layout(transition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shapes of a transition's arrays, None without arrays."""

    def shapes(observation: Any) -> Any:
        if not isinstance(observation, dict) or not observation:
            return None
        return {name: np.shape(value) for name, value in observation.items()}

    before, after = shapes(transition["observations"]), shapes(transition["next_observations"])
    actions = transition["actions"]
    return {
        "observations": before if before == after else None,
        "actions": actions.shape if isinstance(actions, np.ndarray) and actions.ndim == 1 else None,
    }


def pickled_episodes(path: Path) -> Iterator[Frames]:
    """Yield the episodes of all pickles.

    Memory holds one pickle at a time.

    An episode ends where it is done, at the end of a file, and where the next transition does not go on from it, as
    between interventions.

    Raises:
        HilserlError: a file is damaged, or its transitions differ in their keys or shapes.
    """
    number = 0
    for file in pickle_files(path):
        found = transitions(file)
        start = 0
        for row in range(len(found)):
            if row + 1 == len(found) or _ends(found[row], found[row + 1]):
                try:
                    yield _frames(number, found[start : row + 1])
                except (KeyError, TypeError, ValueError, IndexError) as error:
                    raise HilserlError(f"{file}: transitions {start} to {row} do not fit together: {error}.") from error
                number, start = number + 1, row + 1


def _ends(transition: Mapping[str, Any], following: Mapping[str, Any]) -> bool:
    """Return True if a transition is the last of its episode."""
    after, before = transition["next_observations"], following["observations"]
    numbers = [name for name, value in before.items() if not _is_image(value)]
    return bool(transition["dones"]) or any(not np.array_equal(after.get(name), before[name]) for name in numbers)


def _is_image(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.uint8 and value.ndim == CAMERA_AXES


def _newest(value: np.ndarray) -> np.ndarray:
    """Return the newest of an observation's history."""
    return value[-1]


def _frames(number: int, rows: Sequence[Mapping[str, Any]]) -> Frames:
    first, last = rows[0]["observations"], rows[-1]["next_observations"]
    cameras = [name for name, value in first.items() if _is_image(value)]
    columns = {
        name: np.stack([_newest(np.asarray(row["observations"][name])) for row in rows])
        for name in first
        if name not in cameras
    }
    columns |= {name: np.stack([np.asarray(row[name], np.float64) for row in rows]) for name in ("actions", "rewards")}
    columns["dones"] = np.array([bool(row["dones"]) for row in rows])
    columns |= _infos(rows)
    ends = {name: _newest(np.asarray(value)) for name, value in last.items()}
    return Frames(number, "", columns, {name: _stream(rows, name) for name in cameras}, last=ends)


def _infos(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Return what demonstrations tell beside their transitions."""
    infos = [row.get("infos") or {} for row in rows]
    found = {}
    if any(infos):
        found["infos.intervened"] = np.array(["intervene_action" in info for info in infos])
        found["infos.succeed"] = np.array([bool(info.get("succeed", False)) for info in infos])
    penalties = [row.get("grasp_penalty", info.get("grasp_penalty")) for row, info in zip(rows, infos, strict=True)]
    if any(penalty is not None for penalty in penalties):
        found["grasp_penalty"] = np.array([penalty or 0.0 for penalty in penalties])
    return found


def _stream(rows: Sequence[Mapping[str, Any]], name: str) -> ImageStream:
    def images() -> Iterator[np.ndarray]:
        for row in rows:
            yield _newest(row["observations"][name])

    return images
