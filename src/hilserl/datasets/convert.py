"""Conversion of episodes, one in memory at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.datasets.lerobot.format import GripperForm
from hilserl.datasets.lerobot.writer import LeRobotWriter
from hilserl.datasets.mapped import mapped_episodes
from hilserl.datasets.mapping import DatasetMapping
from hilserl.datasets.new_directory import new_directory
from hilserl.datasets.source import Foreign
from hilserl.errors import HilserlError


def write_lerobot(
    out: Path,
    episodes: Iterable[list[Step]],
    spec: ExperienceSpec,
    task: str,
    *,
    video: bool,
    gripper: GripperForm,
) -> None:
    """Write a LeRobotDataset v3.0 that is complete or absent.

    Args:
        out: the new directory.
        episodes: the episodes.
        spec: their layout.
        task: description of the task in words.
        video: write cameras as video, or as PNG.
        gripper: form of the gripper's actions.

    Raises:
        HilserlError: the directory exists, an episode does not fit, or there is none.
    """
    with (
        new_directory(out) as part,
        LeRobotWriter(part, spec, task, video=video, gripper=gripper) as writer,
    ):
        for steps in episodes:
            writer.write(steps)


def write_episodes(out: Path, episodes: Iterable[list[Step]], spec: ExperienceSpec) -> None:
    """Write a directory of episodes that is complete or absent.

    Episodes keep their numbers where these ascend; otherwise each gets the number after the one before.

    Raises:
        HilserlError: the directory exists, or there is no episode.
    """
    with new_directory(out) as part:
        last = -1
        for steps in episodes:
            number = max(steps[0].episode, last + 1)
            if number != steps[0].episode:
                steps = [replace(step, episode=number) for step in steps]
            write_episode(part / f"{number:06d}.parquet", steps, spec)
            last = number
        if last < 0:
            raise HilserlError("There is no episode to convert.")


def mapped(source: Foreign, mapping: DatasetMapping) -> Iterator[list[Step]]:
    """Yield a dataset's episodes by a mapping."""
    return mapped_episodes(source.frames(images=bool(mapping.camera)), mapping)


def told(episodes: Iterable[list[Step]], on_episode: Callable[[], object]) -> Iterator[list[Step]]:
    """Yield episodes and tell of each when the next is asked for."""
    for steps in episodes:
        yield steps
        on_episode()
