"""Steps survive the round trip through Arrow and disk; nothing damaged or foreign gets in."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hilserl.data.arrow import from_table, to_table
from hilserl.data.episodes import read_episode, write_episode
from hilserl.data.spec import FORMAT_VERSION, ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.files import atomically
from tests.support.steps import make_episode, make_step


def same(a: Step, b: Step) -> bool:
    scalars = ("episode", "index", "reward", "terminated", "truncated", "success", "claimed", "truth", "intervened")
    scalars += ("policy_version",)
    arrays = [(a.action, b.action)] + [(a.observation[k], b.observation[k]) for k in a.observation]
    return all(getattr(a, n) == getattr(b, n) for n in scalars) and all(np.array_equal(x, y) for x, y in arrays)


def test_an_episode_on_disk_is_the_episode(tmp_path: Path, spec: ExperienceSpec) -> None:
    steps = make_episode(7, 5, terminated=True, intervened=(2, 3))
    write_episode(tmp_path / "7.parquet", steps, spec)
    read, found = read_episode(tmp_path / "7.parquet")
    assert found == spec
    assert len(read) == len(steps)
    assert all(map(same, steps, read))
    assert read[0].observation["eye"].dtype == np.uint8
    assert read[0].observation["eye"].shape == (2, 3, 3)


def test_images_are_tensor_columns(spec: ExperienceSpec) -> None:
    table = to_table(make_episode(0, 2), spec)
    assert isinstance(table.schema.field("observation.eye").type, pa.FixedShapeTensorType)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text"])
def test_a_damaged_file_is_named(tmp_path: Path, spec: ExperienceSpec, damage: str) -> None:
    path = tmp_path / "0.parquet"
    write_episode(path, make_episode(0, 4), spec)
    data = path.read_bytes()
    path.write_bytes({"cut": data[:-40], "flip": data[:4] + data[8:], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(HilserlError, match=r"0\.parquet"):
        read_episode(path)


def test_a_foreign_table_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"action": [1.0], "reward": [0.0]}), path)
    with pytest.raises(HilserlError, match="not hilserl experience"):
        read_episode(path)


def test_another_format_version_is_refused(spec: ExperienceSpec) -> None:
    table = to_table(make_episode(0, 1), spec)
    metadata = {
        b"hilserl": spec.to_json().replace(f'"format_version": {FORMAT_VERSION}', '"format_version": 99').encode()
    }
    with pytest.raises(HilserlError, match="99"):
        from_table(table.replace_schema_metadata(metadata))


def test_a_spec_that_contradicts_its_columns_is_refused(spec: ExperienceSpec, state_spec: ExperienceSpec) -> None:
    table = to_table(make_episode(0, 1), spec).replace_schema_metadata({b"hilserl": state_spec.to_json().encode()})
    with pytest.raises(HilserlError, match="columns"):
        from_table(table)


@pytest.mark.parametrize("order", [[0, 2], [1, 2], [0, 1, 1]])
def test_an_incomplete_episode_file_is_refused(tmp_path: Path, spec: ExperienceSpec, order: list[int]) -> None:
    steps = make_episode(0, 3)
    write_episode(tmp_path / "0.parquet", [steps[i] for i in order], spec)
    with pytest.raises(HilserlError, match="whole episode"):
        read_episode(tmp_path / "0.parquet")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_refused(spec: ExperienceSpec, bad: float) -> None:
    step = make_step(0, 0)
    step.observation["state"][1] = bad
    with pytest.raises(HilserlError, match="finite"):
        to_table([step], spec)


@pytest.mark.parametrize("shape", [(3, 2, 3), (2, 3, 1)])
def test_a_frame_of_another_shape_is_refused(spec: ExperienceSpec, shape: tuple[int, ...]) -> None:
    step = make_step(0, 0)
    step.observation["eye"] = np.zeros(shape, np.uint8)
    with pytest.raises(HilserlError, match="eye"):
        to_table([step], spec)


def test_writing_is_all_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def half_way(part: Path) -> None:
        part.write_text("ne")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        atomically(target, half_way)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    def full(part: Path) -> None:
        raise OSError(28, "No space left on device", str(part))

    with pytest.raises(HilserlError, match="No space left"):
        atomically(tmp_path / "file", full)
    assert not list(tmp_path.iterdir())


def test_a_file_where_a_folder_should_be_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    with pytest.raises(HilserlError, match="Cannot write"):
        atomically(tmp_path / "file" / "inside", lambda part: part.write_text("new"))
    assert (tmp_path / "file").read_text() == "here first"


def test_the_layout_finds_its_entries() -> None:
    layout = StateLayout((entry("a", 2), entry("b", 3, centre=1.0, scale=[1.0, 2.0, 3.0])))
    vector = layout.pack({"b": np.array([1.0, 2.0, 3.0]), "a": np.array([8.0, 9.0])})
    assert vector.dtype == np.float32
    assert vector[layout.slice("a")].tolist() == [8.0, 9.0]
    assert vector[layout.slice("b")].tolist() == [1.0, 2.0, 3.0]
    assert layout.centre.tolist() == [0.0, 0.0, 1.0, 1.0, 1.0]
    with pytest.raises(HilserlError, match="Available: a, b"):
        layout.slice("c")
    with pytest.raises(HilserlError, match="do not match"):
        layout.pack({"a": np.zeros(2)})
    with pytest.raises(HilserlError, match="shape"):
        layout.pack({"a": np.zeros(2), "b": np.zeros(2)})


def test_the_spec_survives_json(spec: ExperienceSpec) -> None:
    assert ExperienceSpec.from_json(spec.to_json()) == spec
