"""Labelled images from recorded episodes, and their split by episode.

Each image is encoded once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hilserl.data.episodes import episode_files, read_episode
from hilserl.data.fingerprint import fingerprint
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.vision.bottleneck import STATE_CLIP
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig

_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class LabelledImages:
    """Rows of a network's inputs, each with its class.

    The images of resets, which have no label, are left out.
    """

    spec: ExperienceSpec
    frame_encoder: FrameEncoder
    inputs: dict[str, np.ndarray]
    """Inputs by the names of `frame_encoder.inputs`.

    Features are float16 [n, channels, rows, columns]. An encoder that is trained has images, uint8 [n, height, width,
    3], instead."""
    proprioception: np.ndarray
    """Measured state in nominal ranges, float32 [n, numbers]."""
    classes: np.ndarray
    """Classes, int32 [n], from 0; the last one is success."""
    episodes: np.ndarray
    """Index of the episode in `files`, int32 [n]."""
    steps: np.ndarray
    """Index of the step in its episode, int32 [n]."""
    files: tuple[Path, ...]
    """Files of the episodes."""

    def images(self, row: int) -> dict[str, np.ndarray]:
        """Read a row's images from its file.

        Returns:
            Images by camera, each uint8 [height, width, 3].
        """
        steps, _ = read_episode(self.files[self.episodes[row]])
        observation = steps[self.steps[row]].observation
        return {name: observation[name] for name in self.frame_encoder.cameras}


def read_labels(
    directories: Sequence[Path],
    task: str,
    vision: VisionConfig,
    classes: int = 2,
    show: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005
) -> LabelledImages:
    """Read and encode all labelled episodes of some directories.

    Args:
        directories: directories with episode files.
        task: task that the episodes must be of.
        vision: settings of the image encoder.
        classes: number of classes. With two, a step's class is its success; with more, it is the stage that its reward
            gives.
        show: callback with the number of files read and their total.

    Raises:
        HilserlError: a directory is empty, an episode is of another task or has no images, or cameras or image sizes
            differ.
    """
    files: list[Path] = []
    inputs: dict[str, list[np.ndarray]] = {}
    states: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    spec, encoder = None, None
    for path, steps, found in _distinct_episodes(directories, show):
        if spec is None or encoder is None:
            spec, encoder = _usable(found, task, path), FrameEncoder(found, vision)
        if (found.task, found.images, found.state) != (spec.task, spec.images, spec.state):
            raise HilserlError(f"{path} shows {describe(found)}; {files[0]} shows {describe(spec)}.")
        labelled = [step for step in steps if not step.is_reset]
        encoded = [encoder.encode(step.observation) for step in labelled]
        for name in encoder.inputs if encoded else ():
            inputs.setdefault(name, []).append(np.stack([observation[name] for observation in encoded]))
        states += [step.observation["state"] for step in labelled]
        rows = [(_class_of(step, classes, path), len(files), step.index) for step in labelled]
        files.append(path)
        labels.append(np.array(rows, np.int32).reshape(-1, 3))
    assert spec is not None
    assert encoder is not None
    columns = np.concatenate(labels)
    stacked = {name: np.concatenate(parts) for name, parts in inputs.items()}
    measured = np.clip((np.stack(states) - spec.state.centre) / spec.state.scale, -STATE_CLIP, STATE_CLIP)
    return LabelledImages(spec, encoder, stacked, measured, columns[:, 0], columns[:, 1], columns[:, 2], tuple(files))


def _distinct_episodes(
    directories: Sequence[Path], show: Callable[[int, int], object]
) -> Iterator[tuple[Path, list[Step], ExperienceSpec]]:
    """Read each episode once, whatever names it has."""
    files = [path for directory in directories for path in _episode_files(directory)]
    known: set[str] = set()
    for done, path in enumerate(files, 1):
        steps, spec = read_episode(path)
        if (identity := fingerprint(steps)) not in known:
            known.add(identity)
            yield path, steps, spec
        show(done, len(files))


def _episode_files(directory: Path) -> list[Path]:
    files = episode_files(directory)
    if not files:
        raise HilserlError(f"The directory {directory} holds no labelled episodes (*.parquet).")
    return files


def _usable(spec: ExperienceSpec, task: str, path: Path) -> ExperienceSpec:
    if spec.task != task or not spec.images:
        raise HilserlError(f"{path} shows {describe(spec)}; expected camera images of task {task!r}.")
    return spec


def describe(spec: ExperienceSpec) -> str:
    """Describe task, cameras and image sizes in words, for errors."""
    cameras = ", ".join(f"{name} {height} x {width}" for name, (height, width, _) in spec.images)
    return f"task {spec.task!r} by {f'cameras {cameras}' if cameras else 'no camera'}"


def _class_of(step: Step, classes: int, path: Path) -> int:
    if classes == 2:
        return int(step.success)
    stage = round(step.reward)
    if not 0 <= stage < classes or stage != step.reward:
        raise HilserlError(f"{path}, step {step.index}: reward {step.reward} is no stage; expected 0 to {classes - 1}.")
    return stage


class Split(NamedTuple):
    """Rows of three disjoint sets of episodes, each int [n]."""

    train: np.ndarray
    """Rows to learn from."""
    validation: np.ndarray
    """Rows that decide the stop, the calibration and the threshold."""
    test: np.ndarray
    """Rows for the report, which decide nothing."""


def split_by_episode(labels: LabelledImages, fractions: tuple[float, float], classes: int, seed: int) -> Split:
    """Split whole episodes at random into three sets.

    Episodes are grouped by the furthest class that they reach, and each group is split alike.

    Args:
        labels: the labelled images.
        fractions: fractions of episodes for validation and test.
        classes: number of classes.
        seed: seed of the random order.

    Raises:
        HilserlError: a class is missing, or is in too few episodes for each set to have some of it.
    """
    furthest = {int(e): int(labels.classes[labels.episodes == e].max()) for e in np.unique(labels.episodes)}
    rng = np.random.default_rng([seed, 0])
    parts: tuple[list[int], ...] = ([], [], [])
    for stratum in range(classes):
        dealt = rng.permutation([e for e, top in furthest.items() if top == stratum])
        for part, episodes in zip(parts, _cut(dealt, fractions), strict=True):
            part.extend(episodes)
    rows = Split(*(np.flatnonzero(np.isin(labels.episodes, part)) for part in parts))
    for name, part in zip(_PARTS, rows, strict=True):
        missing = set(range(classes)) - set(labels.classes[part].tolist())
        if missing:
            counts = _counts(labels, classes)
            raise HilserlError(
                f"No image of class {min(missing)} is left for {name}: {counts}. Each of {', '.join(_PARTS)} needs "
                f"every class in several episodes; label more."
            )
    return rows


def _counts(labels: LabelledImages, classes: int) -> str:
    def count(number: int) -> str:
        rows = labels.classes == number
        return f"class {number} has {rows.sum()} images in {len(np.unique(labels.episodes[rows]))} episodes"

    return ", ".join(count(number) for number in range(classes))


def _cut(dealt: np.ndarray, fractions: tuple[float, float]) -> Iterator[np.ndarray]:
    """Cut episodes into train, validation and test.

    Of three or more episodes validation and test get at least one each.
    """
    least = int(len(dealt) >= len(_PARTS))
    validation, test = (max(least, round(part * len(dealt))) for part in fractions)
    yield dealt[validation + test :]
    yield dealt[:validation]
    yield dealt[validation : validation + test]
