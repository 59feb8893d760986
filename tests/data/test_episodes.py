"""Episodes survive the disk, and files that are damaged or foreign are refused."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hilserl.data.arrow import from_table, to_table
from hilserl.data.episodes import read_episode, read_episode_spec, write_episode
from hilserl.data.png import encode_png
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


def test_episode_file_of_format_3_is_read(tmp_path: Path, spec: ExperienceSpec) -> None:
    steps = make_episode(7, 5, terminated=True, intervened=(2, 3))
    pq.write_table(to_table(steps, spec), tmp_path / "0.parquet", compression="zstd")
    read, found = read_episode(tmp_path / "0.parquet")
    assert found == spec == read_episode_spec(tmp_path / "0.parquet")
    assert to_table(read, spec).equals(to_table(steps, spec))


def test_file_of_a_later_format_is_refused(tmp_path: Path, spec: ExperienceSpec) -> None:
    write_episode(tmp_path / "0.parquet", make_episode(0, 2), spec)
    table = pq.read_table(tmp_path / "0.parquet")
    metadata = {**(table.schema.metadata or {}), b"hilserl.episode_format": b"99"}
    pq.write_table(table.replace_schema_metadata(metadata), tmp_path / "0.parquet")
    with pytest.raises(HilserlError, match="format 99"):
        read_episode(tmp_path / "0.parquet")


def test_flipped_bits_are_noticed_or_harmless(tmp_path: Path, spec: ExperienceSpec) -> None:
    path, steps = tmp_path / "0.parquet", make_episode(0, 4)
    write_episode(path, steps, spec)
    data, draw, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(data)
        damaged[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            read, found = read_episode(path)
        except HilserlError:
            refused += 1
        else:
            assert found == spec
            assert to_table(read, spec).equals(to_table(steps, spec))
    assert refused > 100


def _without_the_last_row(table: pa.Table) -> pa.Table:
    return table.slice(0, table.num_rows - 1)


def _with_another_reward(table: pa.Table) -> pa.Table:
    at, values = table.schema.get_field_index("reward"), pa.array([0.0, 0.0, 1.0, 0.0, 0.0], pa.float32())
    return table.set_column(at, table.schema.field(at), values)


def _with_images_in_another_order(table: pa.Table) -> pa.Table:
    at = table.schema.get_field_index("observation.eye")
    return table.set_column(at, table.schema.field(at), table.column(at).take([0, 2, 1, 3, 4]))


@pytest.mark.parametrize("change", [_without_the_last_row, _with_another_reward, _with_images_in_another_order])
def test_content_other_than_the_written_one_is_refused(
    tmp_path: Path, spec: ExperienceSpec, change: Callable[[pa.Table], pa.Table]
) -> None:
    # Parquet's own checksums are right here; damage of its footer can look like this.
    path = tmp_path / "0.parquet"
    write_episode(path, make_episode(0, 4), spec)
    pq.write_table(change(pq.read_table(path)), path)
    with pytest.raises(HilserlError, match=r"checksum of .* is wrong"):
        read_episode(path)


def test_episode_file_without_checksums_of_its_content_is_read(tmp_path: Path, spec: ExperienceSpec) -> None:
    path, steps = tmp_path / "0.parquet", make_episode(0, 4)
    write_episode(path, steps, spec)
    table = pq.read_table(path)
    metadata = {key: value for key, value in (table.schema.metadata or {}).items() if key != b"hilserl.column_crc32"}
    pq.write_table(table.replace_schema_metadata(metadata), path)
    assert all(map(same, read_episode(path)[0], steps))


@pytest.mark.parametrize("change", ["shape", "bytes", "null"])
def test_image_that_does_not_fit_is_refused(tmp_path: Path, spec: ExperienceSpec, change: str) -> None:
    path = tmp_path / "0.parquet"
    write_episode(path, make_episode(0, 2), spec)
    table = pq.read_table(path)
    rows = table["observation.eye"].to_pylist()
    rows[1] = {
        "shape": {"bytes": encode_png([np.zeros((4, 4, 3), np.uint8)])[0], "path": None},
        "bytes": {"bytes": b"\x89PNG but no more", "path": None},
        "null": None,
    }[change]
    at = table.schema.get_field_index("observation.eye")
    field = table.schema.field(at)
    pq.write_table(table.set_column(at, field, pa.array(rows, field.type)), path)
    with pytest.raises(HilserlError, match=r"0\.parquet"):
        read_episode(path)


def test_episode_file_opens_with_other_programs(
    tmp_path: Path, spec: ExperienceSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache" / "datasets"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets, duckdb, pandas, polars = map(pytest.importorskip, ("datasets", "duckdb", "pandas", "polars"))
    path, steps = tmp_path / "0.parquet", make_episode(0, 4)
    write_episode(path, steps, spec)
    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache" / "datasets")
    )
    assert type(loaded.features["observation.eye"]).__name__ == "Image"
    for row, step in zip(loaded, steps, strict=True):
        assert np.array_equal(np.asarray(row["observation.eye"]), step.observation["eye"])
        assert np.array_equal(row["observation.state"], step.observation["state"])
    frames = pandas.read_parquet(path), polars.read_parquet(path)
    assert all(list(frame["index"]) == [step.index for step in steps] for frame in frames)
    assert all(row["bytes"][:4] == b"\x89PNG" for frame in frames for row in frame["observation.eye"])
    (found,) = duckdb.sql(f"select count(*), max(index) from '{path}'").fetchall()
    assert found == (5, 4)


def test_schema_metadata_names_the_images(tmp_path: Path, spec: ExperienceSpec) -> None:
    write_episode(tmp_path / "0.parquet", make_episode(0, 1), spec)
    metadata = pq.read_schema(tmp_path / "0.parquet").metadata
    features = json.loads(metadata[b"huggingface"])["info"]["features"]
    assert features == {"observation.eye": {"_type": "Image"}}
