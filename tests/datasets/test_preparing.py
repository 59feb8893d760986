"""Episodes prepared some at a time, in one process or several, make the same dataset."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from hilserl.datasets import preparing
from hilserl.datasets.convert import write_lerobot
from hilserl.datasets.lerobot.prepared import EpisodePreparer
from hilserl.datasets.preparing import prepared_files
from hilserl.datasets.source import Exported, Recording
from hilserl.errors import HilserlError
from tests.support.recorded import SPEC, same_episodes, write_recording

PREPARER = EpisodePreparer(SPEC, gripper="classes")


def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "BATCH_EPISODES", 2)
    monkeypatch.setattr(preparing, "MIN_BATCHES_PER_WORKER", 1)
    monkeypatch.setattr(preparing, "cores", lambda: 2)


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_make_the_dataset_that_single_episodes_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    small_batches(monkeypatch)
    episodes = write_recording(tmp_path / "a", (5, 8, 3, 1, 4))
    source = Recording(tmp_path / "a")
    write_lerobot(tmp_path / "single", source.stored(), PREPARER, "")
    write_lerobot(tmp_path / "batches", prepared_files(source.files, PREPARER, workers), PREPARER, "")
    single, batches = Exported(tmp_path / "single"), Exported(tmp_path / "batches")
    assert same_episodes(episodes, [episode.decoded() for episode in batches.stored()], SPEC)
    tables = [pq.read_table(each.path / "meta" / "episodes").to_pylist() for each in (single, batches)]
    assert [flat(row) for row in tables[0]] == [pytest.approx(flat(row)) for row in tables[1]]
    data = [pq.read_table(each.path / "data") for each in (single, batches)]
    assert data[0].equals(data[1])


def flat(value: Any) -> list[float]:
    """List the numbers in a row of nested lists, in order."""
    if isinstance(value, dict):
        return [number for name in sorted(value) if name != "tasks" for number in flat(value[name])]
    return [number for each in value for number in flat(each)] if isinstance(value, list) else [float(value)]


@pytest.mark.parametrize("workers", [1, 2])
def test_damaged_episode_is_named_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    small_batches(monkeypatch)
    write_recording(tmp_path / "a", (3, 3, 3, 3))
    files = Recording(tmp_path / "a").files
    files[2].write_bytes(files[2].read_bytes()[:-40])
    with pytest.raises(HilserlError, match=files[2].name):
        write_lerobot(tmp_path / "out", prepared_files(files, PREPARER, workers), PREPARER, "")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_batches_end_at_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_recording(tmp_path, (2, 2, 2))
    files = Recording(tmp_path).files
    for limit, lengths in ((0, [[2], [2], [2]]), (10**9, [[2, 2, 2]])):
        monkeypatch.setattr(preparing, "BATCH_BYTES", limit)
        assert [some.lengths for some in prepared_files(files, PREPARER)] == lengths
