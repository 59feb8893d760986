"""Labelled images, read from whole episodes: each frame encoded once, and no episode on two sides of a split."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hilserl.data.episodes import episode_files, read_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from hilserl.vision.heads import STATE_CLIP

_PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class LabelledImages:
    """Rows of what a network sees, each with its class; episodes' first pictures, which nobody judged, are left out."""

    spec: ExperienceSpec
    frames: FrameEncoder
    inputs: dict[str, np.ndarray]
    """By the names of `frames.inputs`: features, float16 [n, channels, rows, columns]; frames where a trunk learns."""
    proprioception: np.ndarray
    """float32 [n, numbers], what the robot measured of itself, in nominal ranges."""
    classes: np.ndarray
    """int32 [n], 0 to one less than the number of classes; the last one is success."""
    episodes: np.ndarray
    """int32 [n], which of `files`."""
    steps: np.ndarray
    """int32 [n], which step of the episode."""
    files: tuple[Path, ...]

    def pictures(self, row: int) -> dict[str, np.ndarray]:
        """What the cameras saw, each uint8 [height, width, 3], read from the file again."""
        steps, _ = read_episode(self.files[self.episodes[row]])
        observation = steps[self.steps[row]].observation
        return {name: observation[name] for name in self.frames.cameras}


def read_labels(
    folders: Sequence[Path],
    task: str,
    vision: VisionConfig,
    classes: int = 2,
    show: Callable[[int, int], object] = lambda done, total: None,  # noqa: ARG005
) -> LabelledImages:
    """All labelled episodes of some directories, encoded.

    A step's class is its success; of more than two classes it is the stage that the step's reward tells. Raises
    HilserlError for an empty directory, another task, episodes without images, or of different cameras or sizes.
    """
    files = tuple(path for folder in folders for path in _episode_files(folder))
    inputs: dict[str, list[np.ndarray]] = {}
    states: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    spec, frames = None, None
    for number, path in enumerate(files):
        steps, found = read_episode(path)
        if spec is None or frames is None:
            spec, frames = _usable(found, task, path), FrameEncoder(found, vision)
        if (found.task, found.images, found.state) != (spec.task, spec.images, spec.state):
            raise HilserlError(f"{path} shows {describe(found)}; {files[0]} shows {describe(spec)}.")
        judged = [step for step in steps if not step.is_reset]
        seen = [frames.encode(step.observation) for step in judged]
        for name in frames.inputs if seen else ():
            inputs.setdefault(name, []).append(np.stack([observation[name] for observation in seen]))
        states += [step.observation["state"] for step in judged]
        rows = [(_class_of(step, classes, path), number, step.index) for step in judged]
        labels.append(np.array(rows, np.int32).reshape(-1, 3))
        show(number + 1, len(files))
    assert spec is not None
    assert frames is not None
    columns = np.concatenate(labels)
    stacked = {name: np.concatenate(parts) for name, parts in inputs.items()}
    measured = np.clip((np.stack(states) - spec.state.centre) / spec.state.scale, -STATE_CLIP, STATE_CLIP)
    return LabelledImages(spec, frames, stacked, measured, columns[:, 0], columns[:, 1], columns[:, 2], files)


def _episode_files(folder: Path) -> list[Path]:
    files = episode_files(folder)
    if not files:
        raise HilserlError(f"The directory {folder} holds no labelled episodes (*.parquet).")
    return files


def _usable(spec: ExperienceSpec, task: str, path: Path) -> ExperienceSpec:
    if spec.task != task or not spec.images:
        raise HilserlError(f"{path} shows {describe(spec)}; expected camera images of task {task!r}.")
    return spec


def describe(spec: ExperienceSpec) -> str:
    """Task, cameras and sizes, for a person who compares."""
    cameras = ", ".join(f"{name} {height} x {width}" for name, (height, width, _) in spec.images)
    return f"task {spec.task!r} by {f'cameras {cameras}' if cameras else 'no camera'}"


def _class_of(step: Step, classes: int, path: Path) -> int:
    if classes == 2:
        return int(step.success)
    stage = round(step.reward)
    if not 0 <= stage < classes or stage != step.reward:
        raise HilserlError(
            f"{path}, step {step.index}: reward {step.reward} tells no stage; expected 0 to {classes - 1}."
        )
    return stage


class Split(NamedTuple):
    """Rows of three disjoint sets of episodes, each int [n]."""

    train: np.ndarray
    """To learn from."""
    validation: np.ndarray
    """To stop by, to calibrate and to choose the threshold by."""
    test: np.ndarray
    """To report on; nothing was chosen by it."""


def split_by_episode(labels: LabelledImages, fractions: tuple[float, float], classes: int, seed: int) -> Split:
    """Deals whole episodes, those that get as far alike: `fractions` are validation's and test's.

    Raises HilserlError where a class is missing, or is in too few episodes for each part to have some of it.
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
                f"No image of class {min(missing)} is left for {name}: {counts}. Every class is needed in several "
                f"episodes for each of {', '.join(_PARTS)}; label more."
            )
    return rows


def _counts(labels: LabelledImages, classes: int) -> str:
    def count(number: int) -> str:
        rows = labels.classes == number
        return f"class {number} has {rows.sum()} images in {len(np.unique(labels.episodes[rows]))} episodes"

    return ", ".join(count(number) for number in range(classes))


def _cut(dealt: np.ndarray, fractions: tuple[float, float]) -> Iterator[np.ndarray]:
    """Train's, validation's and test's; the latter two get at least one where there are three."""
    least = int(len(dealt) >= len(_PARTS))
    validation, test = (max(least, round(part * len(dealt))) for part in fractions)
    yield dealt[validation + test :]
    yield dealt[:validation]
    yield dealt[validation : validation + test]
