"""Converted directories are complete or absent, and episodes keep their numbers."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hilserl.data.episodes import episode_files, read_episode
from hilserl.data.stored_episode import StoredEpisode
from hilserl.datasets.convert import write_episodes, write_lerobot
from hilserl.datasets.lerobot.prepared import EpisodePreparer
from hilserl.datasets.source import Exported, Recording, open_source
from hilserl.errors import HilserlError
from tests.support.recorded import SPEC, recorded_episode, same_episodes, stored, write_recording


def test_recording_survives_the_way_there_and_back(tmp_path: Path) -> None:
    episodes = write_recording(tmp_path / "a", (5, 8, 3))
    source = open_source(tmp_path / "a")
    assert isinstance(source, Recording)
    write_lerobot(tmp_path / "b", source.stored(), EpisodePreparer(source.spec), "")
    exported = open_source(tmp_path / "b")
    assert isinstance(exported, Exported)
    write_episodes(tmp_path / "c", exported.stored())
    back = [read_episode(path) for path in episode_files(tmp_path / "c")]
    assert same_episodes(episodes, [steps for steps, _ in back], SPEC)
    assert all(spec == SPEC for _, spec in back)
    names = [[path.name for path in episode_files(tmp_path / name)] for name in "ac"]
    assert names[0] == names[1]


@pytest.mark.parametrize(
    ("numbers", "expected"), [((0, 4, 9), [0, 4, 9]), ((0, 1, 0, 1), [0, 1, 2, 3]), ((5, 5), [5, 6])]
)
def test_numbers_of_episodes_never_repeat(tmp_path: Path, numbers: tuple[int, ...], expected: list[int]) -> None:
    episodes = [[replace(s, episode=n) for s in recorded_episode(i, 2)] for i, n in enumerate(numbers)]
    write_episodes(tmp_path / "out", stored(episodes))
    assert [path.stem for path in episode_files(tmp_path / "out")] == [f"{n:06d}" for n in expected]
    assert [read_episode(path)[0][0].episode for path in episode_files(tmp_path / "out")] == expected


def test_interrupted_conversion_to_episodes_leaves_nothing(tmp_path: Path) -> None:
    def episodes() -> Iterator[StoredEpisode]:
        yield from stored([recorded_episode(0, 5)])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_episodes(tmp_path / "out", episodes())
    assert not list(tmp_path.iterdir())


def test_episodes_of_two_layouts_are_refused_together(tmp_path: Path) -> None:
    write_recording(tmp_path, (3, 3))
    write_recording(tmp_path / "other", (3,), SPEC.only(["front"]))
    (tmp_path / "other" / "000000.parquet").rename(tmp_path / "000009.parquet")
    source = open_source(tmp_path)
    assert isinstance(source, Recording)
    with pytest.raises(HilserlError, match=r"000009\.parquet has another layout"):
        write_lerobot(tmp_path / "out", source.stored(), EpisodePreparer(SPEC), "")
