"""Episodes of hilserl from another program's, by a mapping."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy.spatial.transform import Rotation as ScipyRotation

from hilserl.data.step import Step
from hilserl.datasets.frames import Frames
from hilserl.datasets.mapping import DatasetMapping, MappedAxis, MappedCamera, MappedEntry
from hilserl.errors import HilserlError
from hilserl.images import resized

_ALWAYS, _NEVER, _EVERY = "always", "never", "every episode"
_ROUNDING = 1e-4
"""Part by which rounding may lead an action past its limit."""


def mapped_episodes(episodes: Iterable[Frames], mapping: DatasetMapping) -> Iterator[list[Step]]:
    """Convert episodes, one at a time.

    Raises:
        HilserlError: a column is missing, or an action lies beyond [-1, 1].
    """
    for frames in episodes:
        if frames.num_rows:
            yield _steps(frames, mapping)


def _steps(frames: Frames, mapping: DatasetMapping) -> list[Step]:
    action = _action(frames, mapping)
    observations = _observations(frames, mapping, action)
    rules, rows = mapping.episodes, frames.num_rows
    success = np.zeros(rows, bool)
    if rules.success == _EVERY:
        success[-1] = True
    else:
        success = _flags(frames, rules.success)
    reward = _column(frames, rules.reward).reshape(rows, -1)[:, 0] if rules.reward else success.astype(np.float32)
    constant = {_ALWAYS: np.ones(rows, bool), _NEVER: np.zeros(rows, bool)}
    operator = constant[rules.operator] if rules.operator in constant else _flags(frames, rules.operator)
    # The first success ends an episode, as it does in a task; what was recorded after it is not part of the task.
    last = int(np.flatnonzero(success)[0]) if success.any() else rows - 1
    steps = [Step(frames.episode, 0, observations[0], np.zeros(len(mapping.action), np.float32))]
    for row in range(last + 1):
        done = bool(success[row])
        steps.append(
            Step(
                frames.episode,
                row + 1,
                observations[row + 1],
                action[row],
                reward=float(reward[row]),
                terminated=done,
                truncated=row == last and not done,
                success=done,
                claimed=done,
                truth=done,
                intervened=bool(operator[row]),
                human_seconds=mapping.control_dt_s if operator[row] else 0.0,
            )
        )
    return steps


def _column(frames: Frames, name: str) -> np.ndarray:
    if name not in frames.columns:
        raise HilserlError(f"The dataset has no column {name!r}. Available: {', '.join(sorted(frames.columns))}.")
    return frames.columns[name]


def _flags(frames: Frames, name: str) -> np.ndarray:
    """Return where a column is positive, bool [rows]."""
    return _column(frames, name).reshape(frames.num_rows, -1)[:, 0] > 0.5


def _action(frames: Frames, mapping: DatasetMapping) -> np.ndarray:
    """Return the actions, float32 [rows, n]."""
    columns = []
    for axis in mapping.action:
        values = _column(frames, axis.column).reshape(frames.num_rows, -1)
        if axis.index >= values.shape[1]:
            raise HilserlError(f"Action {axis.name!r}: column {axis.column!r} has {values.shape[1]} numbers.")
        columns.append(_axis(values[:, axis.index].astype(np.float64), axis))
    action = np.stack(columns, 1)
    beyond = np.abs(action) > 1 + _ROUNDING
    if mapping.episodes.beyond == "refuse" and beyond.any():
        row, index = map(int, np.argwhere(beyond)[0])
        raise HilserlError(
            f"Episode {frames.episode}, row {row}: the action {mapping.action[index].name!r} is "
            f'{action[row, index]:.4g}; actions lie in [-1, 1]. Set its factor in the mapping, or beyond = "clip".'
        )
    return np.clip(action, -1, 1).astype(np.float32)


def _axis(values: np.ndarray, axis: MappedAxis) -> np.ndarray:
    """Return one number of the actions.

    A gripper is -1 to close and +1 to open.
    """
    values = axis.factor * values
    match axis.gripper:
        case "+1 closes":
            return -values
        case "0 closes, 2 opens":
            return values - 1
        case "0 opens, 2 closes":
            return 1 - values
        case "0 closed, 1 open":
            return np.where(values > 0.5, 1.0, -1.0)
        case _:
            return values


def _observations(frames: Frames, mapping: DatasetMapping, action: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Return the observations, one more than there are actions.

    The last one is repeated if the dataset does not have it.
    """
    names = [axis.name for axis in mapping.action]
    parts = [_entry(frames, entry, action, names) for entry in mapping.state]
    observations = [{"state": row} for row in np.concatenate(parts, 1, dtype=np.float32)]
    for camera in mapping.camera:
        for observation, image in zip(observations, _images(frames, camera), strict=True):
            observation[camera.name] = image
    return observations


def _entry(frames: Frames, entry: MappedEntry, action: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Return an entry of the state, float64 [rows + 1, n]."""
    rows, size = frames.num_rows, len(entry.centre)
    if entry.constant:
        return np.tile(np.array(entry.constant, np.float64), (rows + 1, 1))
    if entry.command_of:
        if entry.command_of not in names:
            raise HilserlError(f"State {entry.name!r}: the action has no {entry.command_of!r}: {', '.join(names)}.")
        return _commands(action[:, names.index(entry.command_of)])[:, None]
    values = _column(frames, entry.column).reshape(rows, -1)
    after = np.asarray(frames.last.get(entry.column, values[-1])).reshape(1, -1)
    values = np.concatenate([values, after]).astype(np.float64)
    if entry.indices and max(entry.indices) >= values.shape[1]:
        raise HilserlError(f"State {entry.name!r}: column {entry.column!r} has {values.shape[1]} numbers.")
    values = entry.factor * values[:, list(entry.indices)] + entry.offset
    if entry.rotation is not None:
        values = _quaternions(values, entry)
    if values.shape[1] != size:
        raise HilserlError(f"State {entry.name!r} has {size} numbers; the mapping gives {values.shape[1]}.")
    return values


def _commands(gripper: np.ndarray) -> np.ndarray:
    """Return a gripper's last command before and after each action."""
    commands = [1.0]
    for value in gripper:
        commands.append(float(np.sign(value)) if abs(value) > 0.5 else commands[-1])
    return np.array(commands)


def _quaternions(values: np.ndarray, entry: MappedEntry) -> np.ndarray:
    """Convert rotations to quaternions wxyz with the sign of the entry's centre."""
    match entry.rotation:
        case "euler_xyz":
            turns = ScipyRotation.from_euler("xyz", values)
        case "quaternion_xyzw":
            turns = ScipyRotation.from_quat(values)
        case "quaternion_wxyz":
            turns = ScipyRotation.from_quat(values[:, [1, 2, 3, 0]])
        case _:
            turns = ScipyRotation.from_rotvec(values)
    quaternions = turns.as_quat()[:, [3, 0, 1, 2]]
    centre = np.array(entry.centre)
    reference = centre if np.any(centre) else np.array([1.0, 0, 0, 0])
    return np.where((quaternions @ reference)[:, None] < 0, -quaternions, quaternions)


def _images(frames: Frames, camera: MappedCamera) -> Iterator[np.ndarray]:
    """Yield the images of a camera, one more than there are actions."""
    if camera.column not in frames.images:
        raise HilserlError(f"The dataset has no images {camera.column!r}. Available: {', '.join(frames.images)}.")
    image = None
    for each in frames.images[camera.column]():
        image = resized(each, camera.height, camera.width)
        yield image
    if camera.column in frames.last:
        image = resized(frames.last[camera.column], camera.height, camera.width)
    if image is not None:
        yield image
