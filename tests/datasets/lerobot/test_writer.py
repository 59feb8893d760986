"""Datasets have LeRobot's layout, and come back bit for bit."""

import itertools
import json
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from hilserl.data.step import Step
from hilserl.datasets.convert import write_lerobot
from hilserl.datasets.lerobot import format as form
from hilserl.datasets.lerobot.prepared import EpisodePreparer
from hilserl.datasets.lerobot.restoration import restored_episodes
from hilserl.errors import HilserlError
from tests.support.recorded import SPEC, recorded_episode, same_episodes, stored

LENGTHS = (5, 1, 12)
PSNR_DB = 35.0


def written(root: Path, *, video: bool = False, gripper: form.GripperForm = "signed") -> list[list[Step]]:
    """Write a dataset; return its episodes."""
    episodes = [recorded_episode(number + 3, length) for number, length in enumerate(LENGTHS)]
    write_lerobot(root, stored(episodes), EpisodePreparer(SPEC, video, gripper), "push the toy")
    return episodes


def restored(root: Path, cameras: tuple[str, ...] | None = None) -> list[list[Step]]:
    """Read a dataset's episodes with their images."""
    return [episode.decoded() for episode in restored_episodes(root, cameras)]


@pytest.mark.parametrize("gripper", ["signed", "classes"])
def test_episodes_with_png_come_back_bit_for_bit(tmp_path: Path, gripper: form.GripperForm) -> None:
    episodes = written(tmp_path / "out", gripper=gripper)
    assert same_episodes(episodes, restored(tmp_path / "out"), SPEC)


def test_episodes_with_video_come_back_with_their_numbers(tmp_path: Path) -> None:
    episodes = written(tmp_path / "out", video=True)
    found = restored(tmp_path / "out")
    assert same_episodes(episodes, found, SPEC.only(()))
    for camera, _ in SPEC.images:
        pairs = zip(itertools.chain(*episodes), itertools.chain(*found), strict=True)
        errors = [np.mean((a.observation[camera].astype(float) - b.observation[camera]) ** 2) for a, b in pairs]
        assert 10 * np.log10(255**2 / np.mean(errors)) > PSNR_DB


def test_selected_cameras_alone_are_read(tmp_path: Path) -> None:
    episodes = written(tmp_path / "out")
    assert same_episodes(episodes, restored(tmp_path / "out", ("left/wrist",)), SPEC.only(["left/wrist"]))
    assert same_episodes(episodes, restored(tmp_path / "out", ()), SPEC.only(()))


def test_rows_are_numbered_as_lerobot_looks_them_up(tmp_path: Path) -> None:
    written(tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "data").to_pandas()
    rows = sum(LENGTHS)
    assert list(table["index"]) == list(range(rows))
    assert list(table["episode_index"]) == [i for i, length in enumerate(LENGTHS) for _ in range(length)]
    assert list(table["frame_index"]) == [i for length in LENGTHS for i in range(length)]
    assert np.array_equal(table["timestamp"], (table["frame_index"] / 10).astype(np.float32))
    assert list(np.flatnonzero(table["next.done"])) == list(np.cumsum(LENGTHS) - 1)
    episodes = pq.read_table(tmp_path / "out" / form.EPISODES).to_pylist()
    assert [row["episode_index"] for row in episodes] == list(range(len(LENGTHS)))
    assert [row["dataset_to_index"] - row["dataset_from_index"] for row in episodes] == list(LENGTHS)
    assert episodes[-1]["dataset_to_index"] == rows


def test_observation_stands_with_the_action_that_follows(tmp_path: Path) -> None:
    (steps, *_) = written(tmp_path / "out")
    row = pq.read_table(tmp_path / "out" / "data").to_pylist()[2]
    assert np.array_equal(row["observation.state"], steps[2].observation["state"])
    assert np.array_equal(row["action"], steps[3].action)
    assert row["next.reward"] == steps[3].reward
    assert row["complementary_info.is_intervention"] == steps[3].intervened


def test_gripper_classes_are_close_stay_open(tmp_path: Path) -> None:
    episodes = written(tmp_path / "out", gripper="classes")
    table = pq.read_table(tmp_path / "out" / "data").to_pylist()
    signed = [step.action[2] for steps in episodes for step in steps[1:]]
    assert [row["action"][2] for row in table] == [0 if a < -0.5 else 2 if a > 0.5 else 1 for a in signed]
    assert {row["action"][2] for row in table} == {0, 1, 2}


def test_penalty_marks_the_actions_that_move_a_gripper(tmp_path: Path) -> None:
    episodes = written(tmp_path / "out")
    table = pq.read_table(tmp_path / "out" / "data").to_pylist()
    pairs = [pair for steps in episodes for pair in itertools.pairwise(steps)]
    moved = [abs(b.action[2]) > 0.5 and a.observation["state"][3] * b.action[2] < 0 for a, b in pairs]
    found = [row[form.PENALTY] for row in table]
    assert found == pytest.approx([-0.02 if each else 0.0 for each in moved])
    assert any(moved)


@pytest.mark.parametrize("video", [False, True])
def test_dataset_passes_the_reads_of_lerobots_loader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, video: bool
) -> None:
    """LeRobot loads data with explicit features, tasks with pandas, episodes as they are."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets

    datasets.disable_progress_bars()
    root, cache = tmp_path / "out", str(tmp_path / "cache")
    written(root, video=video)
    info = json.loads((root / form.INFO).read_text())
    assert info["codebase_version"] == "v3.0"
    features: dict[str, Any] = {}
    for name, feature in info["features"].items():
        assert len(feature["shape"]) > 0
        assert "names" in feature
        assert "/" not in name
        if feature["dtype"] == "image":
            features[name] = datasets.Image()
        elif feature["dtype"] != "video":
            value = datasets.Value(feature["dtype"])
            features[name] = value if feature["shape"] == [1] else datasets.Sequence(value, feature["shape"][0])
    files = sorted(str(path) for path in (root / "data").glob("*/*.parquet"))
    loaded = datasets.Dataset.from_parquet(cast("Any", files), features=datasets.Features(features), cache_dir=cache)
    assert len(loaded) == info["total_frames"] == sum(LENGTHS)
    tasks = pd.read_parquet(root / form.TASKS)
    assert tasks.iloc[0].name == "push the toy"
    assert list(tasks["task_index"]) == [0]
    rows = datasets.Dataset.from_parquet([str(p) for p in (root / form.EPISODES).glob("*/*.parquet")], cache_dir=cache)
    assert len(rows) == info["total_episodes"]
    for name, feature in info["features"].items():
        if feature["dtype"] == "video":
            assert all(
                (root / info["video_path"].format(video_key=name, chunk_index=0, file_index=0)).is_file() for _ in rows
            )


def test_statistics_are_those_of_all_rows(tmp_path: Path) -> None:
    episodes = written(tmp_path / "out")
    stats = json.loads((tmp_path / "out" / form.STATS).read_text())
    states = np.array([step.observation["state"] for steps in episodes for step in steps[:-1]], np.float64)
    assert stats["observation.state"]["mean"] == pytest.approx(states.mean(0).tolist())
    assert stats["observation.state"]["std"] == pytest.approx(states.std(0).tolist())
    assert stats["observation.state"]["max"] == pytest.approx(states.max(0).tolist())
    assert stats["observation.state"]["count"] == [sum(LENGTHS)]
    features = json.loads((tmp_path / "out" / form.INFO).read_text())["features"]
    assert stats.keys() == features.keys()
    for name, found in stats.items():
        assert found.keys() == {"min", "max", "mean", "std", "count", *form.QUANTILES}
        shape = (3, 1, 1) if features[name]["dtype"] == "image" else tuple(features[name]["shape"])
        assert all(np.shape(value) == shape for key, value in found.items() if key != "count")
        assert np.all(np.array(found["q01"]) <= np.array(found["q99"]))


def test_video_times_are_those_of_the_rows(tmp_path: Path) -> None:
    written(tmp_path / "out", video=True)
    rows = pq.read_table(tmp_path / "out" / form.EPISODES).to_pylist()
    name = "observation.images.left_wrist"
    with av.open(str(tmp_path / "out" / "videos" / name / "chunk-000" / "file-000.mp4")) as container:
        found = [float(frame.time or 0) for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 10
    wanted = [row[f"videos/{name}/from_timestamp"] + i / 10 for row in rows for i in range(row["length"])]
    assert np.abs(np.array(found) - wanted).max() < 1e-4
    assert [row[f"videos/{name}/to_timestamp"] for row in rows] == pytest.approx(np.cumsum(LENGTHS) / 10)


def test_files_roll_over_at_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "DATA_FILE_MB", 0.0005)
    monkeypatch.setattr(form, "VIDEO_FILE_MB", 0)
    monkeypatch.setattr("hilserl.datasets.lerobot.rolling.FILES_PER_CHUNK", 2)
    for video in (False, True):
        root = tmp_path / str(video)
        episodes = written(root, video=video)
        assert same_episodes(episodes, restored(root), SPEC if not video else SPEC.only(()))
    data = sorted(path.relative_to(tmp_path).as_posix() for path in (tmp_path / "False" / "data").glob("*/*"))
    assert data[-1] == "False/data/chunk-001/file-000.parquet"
    names = [path.name for path in (tmp_path / "True" / "videos" / "observation.images.front").glob("*/*.mp4")]
    assert len(names) == len(LENGTHS)


def test_existing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match="exists already"):
        written(tmp_path)


def test_dataset_without_an_episode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match="no episode"):
        write_lerobot(tmp_path / "out", [], EpisodePreparer(SPEC), "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stop", [KeyboardInterrupt, HilserlError])
@pytest.mark.parametrize("video", [False, True])
def test_interrupted_conversion_leaves_nothing(tmp_path: Path, stop: type[BaseException], video: bool) -> None:
    def episodes() -> Any:
        yield from stored([recorded_episode(0, 5)])
        raise stop

    with pytest.raises(stop):
        write_lerobot(tmp_path / "out", episodes(), EpisodePreparer(SPEC, video), "")
    assert not list(tmp_path.iterdir())
