"""Conversion of episodes, one in memory at a time."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from hilserl.data.episodes import write_stored_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.stored_episode import StoredEpisode
from hilserl.datasets.lerobot.format import GripperForm
from hilserl.datasets.lerobot.writer import LeRobotWriter
from hilserl.datasets.mapped import mapped_episodes
from hilserl.datasets.mapping import DatasetMapping
from hilserl.datasets.source import Foreign
from hilserl.errors import HilserlError
from hilserl.files import new_directory


def write_lerobot(
    out: Path,
    episodes: Iterable[StoredEpisode],
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
        for episode in episodes:
            writer.write(episode)


def write_episodes(out: Path, episodes: Iterable[StoredEpisode]) -> None:
    """Write a directory of episodes that is complete or absent.

    Episodes keep their numbers where these ascend; otherwise each gets the number after the one before.

    Raises:
        HilserlError: the directory exists, or there is no episode.
    """
    with new_directory(out) as part:
        last = -1
        for episode in episodes:
            number = max(episode.steps[0].episode, last + 1)
            if number != episode.steps[0].episode:
                episode = replace(episode, steps=[replace(step, episode=number) for step in episode.steps])
            write_stored_episode(part / f"{number:06d}.parquet", episode)
            last = number
        if last < 0:
            raise HilserlError("There is no episode to convert.")


def mapped(source: Foreign, mapping: DatasetMapping) -> Iterator[StoredEpisode]:
    """Yield a dataset's episodes by a mapping."""
    for steps in mapped_episodes(source.frames(images=bool(mapping.camera)), mapping):
        yield StoredEpisode(steps, mapping.spec)


def told(episodes: Iterable[StoredEpisode], on_episode: Callable[[], object]) -> Iterator[StoredEpisode]:
    """Yield episodes and tell of each when the next is asked for."""
    for episode in episodes:
        yield episode
        on_episode()
