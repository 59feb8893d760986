"""Datasets of LeRobot are read in either version, and damaged ones are refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hilserl.datasets.convert import write_lerobot
from hilserl.datasets.lerobot import reader
from hilserl.datasets.lerobot.prepared import EpisodePreparer
from hilserl.datasets.lerobot.reader import LeRobotDataset
from hilserl.datasets.lerobot.restoration import restored_episodes
from hilserl.datasets.lerobot.video import VideoWriter
from hilserl.errors import HilserlError
from tests.support.foreign import write_foreign_lerobot
from tests.support.recorded import SPEC, image, recorded_episode, stored

LENGTHS = (9, 1, 80)


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_episodes_are_whole_in_either_version(tmp_path: Path, version: str) -> None:
    write_foreign_lerobot(tmp_path / "d", LENGTHS, version)
    found = list(LeRobotDataset(tmp_path / "d").episodes())
    assert [frames.num_rows for frames in found] == list(LENGTHS)
    assert all(frames.task == "push" for frames in found)
    for number, frames in enumerate(found):
        expected = np.random.default_rng(number).uniform(-300, 300, (LENGTHS[number], 3)).astype(np.float32)
        assert np.array_equal(frames.columns["observation.state"][:, :3], expected)
        assert frames.columns["observation.state"].dtype == np.float32


def test_versions_hold_the_same(tmp_path: Path) -> None:
    both = []
    for version in ("v2.1", "v3.0"):
        write_foreign_lerobot(tmp_path / version, LENGTHS, version)
        both.append(list(LeRobotDataset(tmp_path / version).episodes()))
    for one, other in zip(*both, strict=True):
        assert one.columns.keys() == other.columns.keys()
        assert all(np.array_equal(one.columns[name], other.columns[name]) for name in one.columns)


def test_videos_of_version_2_are_one_an_episode(tmp_path: Path) -> None:
    write_foreign_lerobot(tmp_path, LENGTHS, "v2.1")
    name, shape = "observation.images.top", (64, 64, 3)
    info = json.loads((tmp_path / "meta/info.json").read_text())
    features = {**info["features"], name: {"dtype": "video", "shape": list(shape), "names": None}}
    path = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
    change_info(tmp_path, features=features, video_path=path)
    for number, length in enumerate(LENGTHS):
        file = tmp_path / path.format(episode_chunk=0, video_key=name, episode_index=number)
        writer = VideoWriter(file, shape, 10)
        for index in range(length):
            writer.write(image(shape, number, index))
        writer.close()
    for frames in LeRobotDataset(tmp_path).episodes():
        drawn = [image(shape, frames.episode, index) for index in range(frames.num_rows)]
        for one, other in zip(frames.images[name](), drawn, strict=True):
            assert np.abs(one.astype(int) - other).mean() < 3


def remove_file(root: Path, name: str) -> None:
    next(root.glob(name)).unlink()


def cut_file(root: Path, name: str) -> None:
    path = next(root.glob(name))
    path.write_bytes(path.read_bytes()[:-30])


def change_info(root: Path, **values: object) -> None:
    info = json.loads((root / "meta/info.json").read_text())
    (root / "meta/info.json").write_text(json.dumps(info | values))


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no data": lambda root: remove_file(root, "data/*/*"),
    "cut data": lambda root: cut_file(root, "data/*/*"),
    "no episodes": lambda root: shutil.rmtree(root / "meta/episodes"),
    "no tasks": lambda root: remove_file(root, "meta/tasks.parquet"),
    "later version": lambda root: change_info(root, codebase_version="v4.0"),
    "no rate": lambda root: change_info(root, fps=0),
    "no features": lambda root: change_info(root, features=None),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_dataset_is_named(tmp_path: Path, damage: str) -> None:
    write_foreign_lerobot(tmp_path / "d", (3, 4))
    DAMAGES[damage](tmp_path / "d")
    with pytest.raises(HilserlError, match=str(tmp_path)):
        list(LeRobotDataset(tmp_path / "d").episodes())


@pytest.mark.parametrize("file", ["videos/*front/*/*.mp4", "hilserl/*.parquet", "meta/hilserl.json"])
@pytest.mark.parametrize("damage", [remove_file, cut_file])
def test_damaged_dataset_of_ours_is_named(tmp_path: Path, file: str, damage: Callable[[Path, str], None]) -> None:
    root = tmp_path / "d"
    write_lerobot(root, stored([recorded_episode(0, 5)]), EpisodePreparer(SPEC, video=True), "")
    damage(root, file)
    with pytest.raises(HilserlError, match=str(root)):
        list(restored_episodes(root))


def test_number_that_no_step_may_have_is_refused_on_the_way_back(tmp_path: Path) -> None:
    write_lerobot(tmp_path / "a", stored([recorded_episode(0, 3)]), EpisodePreparer(SPEC), "")
    (file,) = (tmp_path / "a" / "data").glob("*/*.parquet")
    table = pq.read_table(file)
    place = table.schema.get_field_index("next.reward")
    pq.write_table(table.set_column(place, "next.reward", pa.array([0.0, np.inf, 0.0], pa.float32())), file)
    with pytest.raises(HilserlError, match="step 2: reward is inf"):
        list(restored_episodes(tmp_path / "a"))


def test_row_groups_are_read_in_batches_of_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"x": np.arange(10.0)}), tmp_path / "a.parquet", row_group_size=6, use_dictionary=False)
    for limit, expected in ((10**6, [6, 4]), (1, [1] * 10)):
        monkeypatch.setattr(reader, "BATCH_BYTES", limit)
        with pq.ParquetFile(tmp_path / "a.parquet") as file:
            found = list(reader.batches(file, ["x"]))
        assert [batch.num_rows for batch in found] == expected
        assert pa.Table.from_batches(found)["x"].to_pylist() == list(range(10))
