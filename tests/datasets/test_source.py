"""Recordings are recognised, and what is none is described."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hilserl.datasets.convert import write_lerobot
from hilserl.datasets.lerobot.prepared import EpisodePreparer
from hilserl.datasets.overview import overview
from hilserl.datasets.source import open_source
from hilserl.errors import HilserlError
from tests.support.foreign import write_foreign_lerobot
from tests.support.recorded import SPEC, recorded_episode, stored, write_recording


def run_directory(path: Path) -> None:
    write_recording(path / "episodes", (3, 4))
    write_recording(path / "demonstrations", (5,))
    (path / "config.json").write_text("{}")


def pickles(path: Path) -> None:
    path.mkdir()
    observation = {"state": np.zeros((1, 19), np.float32)}
    transition = {"observations": observation, "next_observations": observation, "actions": np.zeros(7)}
    (path / "demo.pkl").write_bytes(pickle.dumps([{**transition, "rewards": 1, "masks": 0.0, "dones": True}]))


def exported(path: Path) -> None:
    write_lerobot(path, stored([recorded_episode(0, 4)]), EpisodePreparer(SPEC), "")


KINDS: dict[str, tuple[Callable[[Path], object], int, int]] = {
    "episodes of hilserl": (lambda path: write_recording(path, (3, 4)), 2, 7),
    "run of hilserl": (run_directory, 3, 12),
    "LeRobotDataset written by hilserl": (exported, 1, 4),
    "LeRobotDataset": (lambda path: write_foreign_lerobot(path, (2, 5)), 2, 7),
    "HIL-SERL pickles": (pickles, 1, 1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_recording_is_recognised_and_counted(tmp_path: Path, kind: str) -> None:
    make, episodes, steps = KINDS[kind]
    make(tmp_path / "x")
    found = overview(open_source(tmp_path / "x"))
    assert (found.kind, found.episodes, found.steps) == (kind, episodes, steps)
    assert found.successes == found.judged == episodes
    assert all(value for _, value in found.lines())


def test_overview_names_task_cameras_and_operator(tmp_path: Path) -> None:
    episodes = write_recording(tmp_path, (3, 4))
    (tmp_path / "000009.parquet").write_bytes(b"damaged")
    shown = dict(overview(open_source(tmp_path)).lines())
    acted = sum(step.intervened for steps in episodes for step in steps)
    assert shown["task"] == "toy (2)"
    assert shown["cameras"] == "front 64 x 64, left/wrist 64 x 96"
    assert shown["who acted"] == f"{acted} of 7 steps by the operator"
    assert shown["episodes"] == "2, and 1 that cannot be read"
    assert shown["length"] == "0.7 s at 10 Hz"


@pytest.mark.parametrize("name", ["nothing", "empty/", "text.txt", "demo.hdf5"])
def test_paths_of_no_recording_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.endswith("/"):
        path.mkdir()
    elif name != "nothing":
        path.write_text("x")
    with pytest.raises(HilserlError, match=r"nothing at|expected|HDF5") as error:
        open_source(path)
    assert str(path) in str(error.value)
