"""Conversion of episodes, one in memory at a time."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from hilserl.data.episodes import write_episode_file
from hilserl.data.stored_episode import StoredEpisode
from hilserl.datasets.lerobot.prepared import EpisodePreparer, PreparedEpisodes
from hilserl.datasets.lerobot.writer import LeRobotWriter
from hilserl.datasets.mapped import mapped_episodes
from hilserl.datasets.mapping import DatasetMapping
from hilserl.datasets.source import Foreign
from hilserl.errors import HilserlError
from hilserl.files import new_directory

T = TypeVar("T")


def write_lerobot(
    out: Path, episodes: Iterable[StoredEpisode | PreparedEpisodes], preparer: EpisodePreparer, task: str
) -> None:
    """Write a LeRobotDataset v3.0 that is complete or absent.

    Args:
        out: the new directory.
        episodes: the episodes; those that are prepared have no video.
        preparer: their layout, and the form of the dataset.
        task: description of the task in words.

    Raises:
        HilserlError: the directory exists, an episode does not fit, or there is none.
    """
    with new_directory(out) as part, LeRobotWriter(part, preparer, task) as writer:
        for each in episodes:
            if isinstance(each, PreparedEpisodes):
                writer.append(each)
            else:
                writer.write(each)


def write_episodes(out: Path, episodes: Iterable[StoredEpisode]) -> None:
    """Write a directory of episodes that is complete or absent.

    Episodes keep their numbers where these ascend; otherwise each gets the number after the one before.

    Raises:
        HilserlError: the directory exists, or there is no episode.
    """
    with new_directory(out) as part:
        last = -1
        for episode in episodes:
            number = max(episode.number, last + 1)
            if number != episode.number:
                episode = episode.renumbered(number)
            write_episode_file(part / f"{number:06d}.parquet", episode)
            last = number
        if last < 0:
            raise HilserlError("There is no episode to convert.")


def mapped(source: Foreign, mapping: DatasetMapping) -> Iterator[StoredEpisode]:
    """Yield a dataset's episodes by a mapping."""
    for steps in mapped_episodes(source.frames(images=bool(mapping.camera)), mapping):
        yield StoredEpisode.of_steps(steps, mapping.spec)


def told(items: Iterable[T], on_item: Callable[[T], object]) -> Iterator[T]:
    """Yield items and tell of each when the next is asked for."""
    for item in items:
        yield item
        on_item(item)
