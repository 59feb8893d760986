"""Episodes survive the disk, and files that are damaged or foreign are refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hilserl.data.arrow import from_table, to_table
from hilserl.data.episodes import read_episode, write_episode
from hilserl.data.spec import FORMAT_VERSION, ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from tests.support.steps import make_episode


def same(a: Step, b: Step) -> bool:
    scalars = ("episode", "index", "reward", "terminated", "truncated", "success", "claimed", "truth", "intervened")
    scalars += ("policy_version",)
    arrays = [(a.action, b.action)] + [(a.observation[k], b.observation[k]) for k in a.observation]
    return all(getattr(a, n) == getattr(b, n) for n in scalars) and all(np.array_equal(x, y) for x, y in arrays)


def test_episode_survives_the_disk(tmp_path: Path, spec: ExperienceSpec) -> None:
    steps = make_episode(7, 5, terminated=True, intervened=(2, 3))
    write_episode(tmp_path / "7.parquet", steps, spec)
    read, found = read_episode(tmp_path / "7.parquet")
    assert found == spec
    assert len(read) == len(steps)
    assert all(map(same, steps, read))
    assert read[0].observation["eye"].dtype == np.uint8
    assert read[0].observation["eye"].shape == (2, 3, 3)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_damaged_file_is_named(tmp_path: Path, spec: ExperienceSpec, damage: str) -> None:
    path = tmp_path / "0.parquet"
    write_episode(path, make_episode(0, 4), spec)
    data = path.read_bytes()
    path.write_bytes({"cut": data[:-40], "flip": data[:4] + data[8:], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(HilserlError, match=r"0\.parquet"):
        read_episode(path)


def test_foreign_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"action": [1.0], "reward": [0.0]}), path)
    with pytest.raises(HilserlError, match="not hilserl experience"):
        read_episode(path)


def test_format_version_of_another_program_is_refused(spec: ExperienceSpec) -> None:
    table = to_table(make_episode(0, 1), spec)
    metadata = {
        b"hilserl": spec.to_json().replace(f'"format_version": {FORMAT_VERSION}', '"format_version": 99').encode()
    }
    with pytest.raises(HilserlError, match="99"):
        from_table(table.replace_schema_metadata(metadata))


@pytest.mark.parametrize("order", [[0, 2], [1, 2], [0, 1, 1]])
def test_incomplete_episode_file_is_refused(tmp_path: Path, spec: ExperienceSpec, order: list[int]) -> None:
    steps = make_episode(0, 3)
    write_episode(tmp_path / "0.parquet", [steps[i] for i in order], spec)
    with pytest.raises(HilserlError, match="whole episode"):
        read_episode(tmp_path / "0.parquet")
