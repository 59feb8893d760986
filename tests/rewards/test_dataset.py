"""Labelled episodes that cannot be read together are refused, and splits keep episodes whole."""

from pathlib import Path

import numpy as np
import pytest

from hilserl.errors import HilserlError
from hilserl.rewards.dataset import read_labels, split_by_episode
from hilserl.rewards.network import ClassifierConfig
from tests.support.labels import TINY, labels_of, late, spec_of, write_labels


@pytest.mark.parametrize("always", [True, False])
def test_labels_of_one_class_are_an_error_that_counts_them(tmp_path: Path, always: bool) -> None:
    data = write_labels(tmp_path, lambda episode, index: always)  # noqa: ARG005
    labels = read_labels([data], "pick_cube", ClassifierConfig(**TINY).vision)
    with pytest.raises(HilserlError, match=f"class {int(not always)} has 0 images in 0 episodes"):
        split_by_episode(labels, (0.2, 0.2), 2, 0)


def test_class_in_too_few_episodes_is_an_error(tmp_path: Path) -> None:
    data = write_labels(tmp_path, lambda episode, index: episode == 3 and index > 5)
    labels = read_labels([data], "pick_cube", ClassifierConfig(**TINY).vision)
    with pytest.raises(HilserlError, match="class 1 has 5 images in 1 episodes"):
        split_by_episode(labels, (0.2, 0.2), 2, 0)


def test_missing_stage_and_invalid_reward_are_errors(tmp_path: Path) -> None:
    vision = ClassifierConfig(**TINY).vision
    labels = read_labels([write_labels(tmp_path, late)], "pick_cube", vision, classes=3)
    with pytest.raises(HilserlError, match="No image of class 2"):
        split_by_episode(labels, (0.2, 0.2), 3, 0)


def test_episodes_that_differ_are_an_error_with_both_sides(tmp_path: Path) -> None:
    vision = ClassifierConfig(**TINY).vision
    data = write_labels(tmp_path / "a", late, episodes=2)
    for name, other, expected in (
        ("size", spec_of(size=16), "front 16 x 16.*front 32 x 32"),
        ("camera", spec_of(cameras=("wrist",)), "wrist 32 x 32.*front 32 x 32"),
    ):
        directory = write_labels(tmp_path / name, late, spec=other, episodes=1)
        with pytest.raises(HilserlError, match=expected):
            read_labels([data, directory], "pick_cube", vision)
    blind = write_labels(tmp_path / "blind", late, spec=spec_of(cameras=()), episodes=1)
    with pytest.raises(HilserlError, match="no camera"):
        read_labels([blind], "pick_cube", vision)
    with pytest.raises(HilserlError, match="expected camera images of task 'push'"):
        read_labels([data], "push", vision)


def test_empty_missing_and_damaged_directories_are_errors(tmp_path: Path) -> None:
    vision = ClassifierConfig(**TINY).vision
    (tmp_path / "empty").mkdir()
    for directory, expected in ((tmp_path / "empty", "holds no labelled episodes"), (tmp_path / "no", "no directory")):
        with pytest.raises(HilserlError, match=expected):
            read_labels([directory], "pick_cube", vision)
    (tmp_path / "empty" / "000000.parquet").write_bytes(b"not a table")
    with pytest.raises(HilserlError, match=r"000000\.parquet"):
        read_labels([tmp_path / "empty"], "pick_cube", vision)


@pytest.mark.parametrize("seed", range(5))
def test_split_keeps_episodes_whole_and_uses_all_images(seed: int) -> None:
    labels = labels_of(episodes=17)
    parts = split_by_episode(labels, (0.2, 0.2), 2, seed)
    sides = [set(labels.episodes[rows].tolist()) for rows in parts]
    assert sum(map(len, sides)) == len(set.union(*sides)), "disjoint"
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels.classes)))
    again = split_by_episode(labels, (0.2, 0.2), 2, seed)
    assert all(np.array_equal(a, b) for a, b in zip(parts, again, strict=True))
    other = split_by_episode(labels, (0.2, 0.2), 2, seed + 100)
    assert set(labels.episodes[other.test].tolist()) != sides[2] or seed
