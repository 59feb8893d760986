"""Mapping files are strict, and say how columns become ours."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hilserl.datasets.frames import Frames
from hilserl.datasets.mapped import mapped_episodes
from hilserl.datasets.mapping import (
    DatasetMapping,
    EpisodeRules,
    MappedAxis,
    MappedCamera,
    MappedEntry,
    read_mapping,
    write_mapping,
)
from hilserl.datasets.source import LeRobot
from hilserl.datasets.suggest import suggest_mapping
from hilserl.errors import HilserlError
from tests.support.foreign import write_foreign_lerobot
from tests.support.recorded import SPEC

ZERO3, ONE3 = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
MAPPING = DatasetMapping(
    "toy",
    0.1,
    EpisodeRules("success"),
    (
        MappedEntry("position_m", ZERO3, ONE3, "pose", (0, 1, 2), factor=0.001, offset=0.5),
        MappedEntry("gripper_command", (0.0,), (1.0,), command_of="gripper"),
    ),
    (MappedAxis("dx", "act", 1, factor=2.0), MappedAxis("gripper", "act", 0, gripper="+1 opens")),
    (MappedCamera("eye", "cam", 4, 6),),
)


def frames(rows: int = 4, **columns: Any) -> Frames:
    """Make an episode whose gripper opens and closes in turns, with success in the last row."""
    given = {
        "pose": np.arange(3.0 * rows).reshape(rows, 3),
        "act": np.stack([np.where(np.arange(rows) % 2, 1.0, -1.0), np.linspace(-0.5, 0.5, rows)], 1),
        "success": np.arange(rows) == rows - 1,
    }
    images = [np.full((8, 12, 3), index, np.uint8) for index in range(rows)]
    return Frames(3, "", {**given, **columns}, {"cam": lambda: iter(images)})


def steps_of(mapping: DatasetMapping = MAPPING, **columns: Any) -> list[Any]:
    (steps,) = mapped_episodes([frames(**columns)], mapping)
    return steps


def test_mapping_file_survives_the_disk(tmp_path: Path) -> None:
    write_mapping(tmp_path / "map.toml", MAPPING, ["a note"])
    assert read_mapping(tmp_path / "map.toml") == MAPPING
    with pytest.raises(HilserlError, match="exists already"):
        write_mapping(tmp_path / "map.toml", MAPPING, [])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("factor = 0.001", "factor = 'x'"),
        ("factor = 0.001", "faktor = 0.001"),
        ('gripper = "+1 opens"', 'gripper = "opens"'),
        ("version = 1", "version = 2"),
        ("task =", "tusk ="),
        ("scale = [1.0, 1.0, 1.0]", "scale = [1.0]"),
        ("[[camera]]", "[camera"),
    ],
)
def test_wrong_mapping_file_is_refused(tmp_path: Path, wrong: str, message: str) -> None:
    write_mapping(tmp_path / "map.toml", MAPPING, [])
    text = (tmp_path / "map.toml").read_text()
    assert wrong in text
    (tmp_path / "map.toml").write_text(text.replace(wrong, message, 1))
    with pytest.raises(HilserlError, match=r"map\.toml"):
        read_mapping(tmp_path / "map.toml")


def test_open_question_is_named(tmp_path: Path) -> None:
    entry = replace(MAPPING.state[0], column="?")
    write_mapping(tmp_path / "map.toml", replace(MAPPING, state=(entry, MAPPING.state[1])), [])
    with pytest.raises(HilserlError, match="leaves open: state position_m"):
        read_mapping(tmp_path / "map.toml")


def test_rows_become_steps_one_later() -> None:
    steps = steps_of()
    assert [step.index for step in steps] == [0, 1, 2, 3, 4]
    assert not steps[0].action.any()
    assert np.allclose(steps[0].observation["state"], [0.5, 0.501, 0.502, 1.0])
    assert np.allclose(steps[1].action, [-1.0, -1.0])
    assert [step.observation["eye"][0, 0, 0] for step in steps] == [0, 1, 2, 3, 3]
    assert steps[0].observation["eye"].shape == (4, 6, 3)
    assert [step.observation["state"][3] for step in steps] == [1, -1, 1, -1, 1]


def test_success_ends_an_episode_and_time_truncates_it() -> None:
    early = steps_of(success=np.array([False, True, False, False]))
    assert [(s.terminated, s.truncated) for s in early] == [(False, False), (False, False), (True, False)]
    assert early[-1].reward == 1.0
    never = steps_of(success=np.zeros(4, bool))
    assert (never[-1].terminated, never[-1].truncated, never[-1].index) == (False, True, 4)
    every = steps_of(replace(MAPPING, episodes=EpisodeRules("every episode")), success=np.zeros(4, bool))
    assert (every[-1].terminated, every[-1].success, every[-1].index) == (True, True, 4)


@pytest.mark.parametrize(
    ("gripper", "values", "expected"),
    [
        ("+1 opens", [-1, 1, 0, 1], [-1, 1, 0, 1]),
        ("+1 closes", [-1, 1, 0, 1], [1, -1, 0, -1]),
        ("0 closes, 2 opens", [0, 1, 2, 2], [-1, 0, 1, 1]),
        ("0 opens, 2 closes", [0, 1, 2, 2], [1, 0, -1, -1]),
        ("0 closed, 1 open", [0.1, 0.4, 0.6, 1.0], [-1, -1, 1, 1]),
    ],
)
def test_gripper_conventions_become_ours(gripper: Any, values: list[float], expected: list[float]) -> None:
    axes = (MAPPING.action[0], replace(MAPPING.action[1], gripper=gripper))
    act = np.stack([values, np.zeros(4)], 1)
    steps = steps_of(replace(MAPPING, action=axes), act=act)
    assert [step.action[1] for step in steps[1:]] == expected


def test_action_beyond_its_limits_is_refused_or_clipped() -> None:
    act = np.array([[0, 0.1], [0, 0.2], [0, 3.0], [0, 0.0]])
    with pytest.raises(HilserlError, match="Episode 3, row 2: the action 'dx' is 6"):
        steps_of(act=act)
    clipped = steps_of(replace(MAPPING, episodes=EpisodeRules("success", beyond="clip")), act=act)
    assert clipped[3].action[0] == 1.0


@pytest.mark.parametrize("rotation", ["euler_xyz", "quaternion_xyzw", "quaternion_wxyz", "rotation_vector"])
def test_rotations_become_quaternions_near_their_centre(rotation: Any) -> None:
    turns = Rotation.from_euler("xyz", np.random.default_rng(0).normal(0, 0.3, (4, 3)) + np.array([np.pi, 0, 0]))
    quaternions = turns.as_quat()
    given = {
        "euler_xyz": turns.as_euler("xyz"),
        "quaternion_xyzw": quaternions,
        "quaternion_wxyz": -quaternions[:, [3, 0, 1, 2]],
        "rotation_vector": turns.as_rotvec(),
    }[rotation]
    indices = tuple(range(given.shape[1]))
    entry = MappedEntry("turn", (0.0, 1.0, 0.0, 0.0), (1.0,) * 4, "turn", indices, rotation=rotation)
    steps = steps_of(replace(MAPPING, state=(entry,)), turn=given)
    found = np.stack([step.observation["state"] for step in steps[:-1]])
    assert (found[:, 1] > 0).all()
    assert np.allclose(np.abs((found * quaternions[:, [3, 0, 1, 2]]).sum(1)), 1, atol=1e-6)


@pytest.mark.parametrize(
    "change",
    [
        {"episodes": EpisodeRules("done")},
        {"camera": (MappedCamera("eye", "top", 4, 6),)},
        {"action": (MappedAxis("dx", "act", 5),)},
        {"state": (MappedEntry("p", ZERO3, ONE3, "pose", (0, 1)),)},
        {"state": (MappedEntry("p", ZERO3, ONE3, "pose", (0, 1, 9)),)},
        {"state": (MappedEntry("g", (0.0,), (1.0,), command_of="claw"),)},
    ],
)
def test_column_that_does_not_fit_is_named(change: dict[str, Any]) -> None:
    with pytest.raises(HilserlError, match=r"no column|no images|numbers|the action has no"):
        steps_of(replace(MAPPING, **change))


def test_suggestion_for_lerobot_leaves_open_what_it_cannot_know(tmp_path: Path) -> None:
    write_foreign_lerobot(tmp_path / "d", (5, 6), fps=30)
    proposal = suggest_mapping(LeRobot(tmp_path / "d"), SPEC.only(()))
    assert proposal.mapping.unknown == ["state tcp_position_m", "action gripper"]
    assert proposal.mapping.action[0] == MappedAxis("tcp_dx", "action", 0)
    assert proposal.mapping.episodes.success == "next.reward"
    assert any("0.03333 s apart" in note for note in proposal.notes)
