"""Runs take demonstrations of any kind whose meaning is known."""

from dataclasses import replace
from pathlib import Path

import pytest

from hilserl.datasets.convert import write_lerobot
from hilserl.datasets.demonstrations import foreign_demonstrations, is_recording
from hilserl.datasets.lerobot.prepared import EpisodePreparer
from hilserl.errors import HilserlError
from tests.support.foreign import write_foreign_lerobot
from tests.support.recorded import SPEC, same_episodes, stored, write_recording


def test_exported_dataset_gives_the_original_steps(tmp_path: Path) -> None:
    episodes = write_recording(tmp_path / "a", (4, 7))
    write_lerobot(tmp_path / "b", stored(episodes), EpisodePreparer(SPEC, gripper="classes"), "")
    assert same_episodes(episodes, list(foreign_demonstrations(tmp_path / "b", SPEC)), SPEC)


def test_exported_dataset_may_have_more_cameras_than_the_run(tmp_path: Path) -> None:
    episodes, narrow = write_recording(tmp_path / "a", (4, 7)), SPEC.only(["left/wrist"])
    write_lerobot(tmp_path / "b", stored(episodes), EpisodePreparer(SPEC), "")
    found = list(foreign_demonstrations(tmp_path / "b", narrow))
    assert same_episodes(episodes, found, narrow)
    assert all(step.observation.keys() == {"state", "left/wrist"} for steps in found for step in steps)


def test_dataset_of_another_task_is_refused(tmp_path: Path) -> None:
    write_lerobot(tmp_path / "b", stored(write_recording(tmp_path / "a", (4,))), EpisodePreparer(SPEC), "")
    with pytest.raises(HilserlError, match="task is toy, expected other"):
        list(foreign_demonstrations(tmp_path / "b", replace(SPEC, task="other")))


def test_dataset_without_a_mapping_names_the_command(tmp_path: Path) -> None:
    write_foreign_lerobot(tmp_path / "d", (3,))
    with pytest.raises(HilserlError, match=r"hilserl dataset convert .*/d --map suggest --task toy --obs state --out"):
        list(foreign_demonstrations(tmp_path / "d", SPEC.only(())))


def test_own_recordings_are_told_from_other_datasets(tmp_path: Path) -> None:
    write_recording(tmp_path / "a", (3,))
    write_foreign_lerobot(tmp_path / "d", (3,))
    (tmp_path / "empty").mkdir()
    assert is_recording(tmp_path / "a")
    assert is_recording(tmp_path / "empty")
    assert not is_recording(tmp_path / "d")
