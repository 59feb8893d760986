"""Stored episodes pass images on, decoded or not."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from hilserl.data.episodes import read_episode, read_stored_episode, write_episode, write_stored_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.stored_episode import StoredEpisode, image_array
from hilserl.errors import HilserlError
from tests.support.steps import make_episode


def test_png_files_pass_through_unchanged(tmp_path: Path, spec: ExperienceSpec) -> None:
    write_episode(tmp_path / "a.parquet", make_episode(0, 4), spec)
    episode = read_stored_episode(tmp_path / "a.parquet")
    assert episode.png.keys() == {"eye"}
    assert not episode.pixels
    write_stored_episode(tmp_path / "b.parquet", episode)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_images_are_the_same_from_steps_and_from_png(tmp_path: Path, spec: ExperienceSpec) -> None:
    steps = make_episode(0, 4)
    write_episode(tmp_path / "a.parquet", steps, spec)
    encoded, decoded = read_stored_episode(tmp_path / "a.parquet"), StoredEpisode.of_steps(steps, spec)
    for rows in ([0, 3], [4], range(5)):
        pairs = zip(encoded.images("eye", rows), decoded.images("eye", rows), strict=True)
        assert all(np.array_equal(one, other) for one, other in pairs)
    assert encoded.encoded("eye").equals(decoded.encoded("eye"))
    assert [step.observation["eye"].tolist() for step in encoded.decoded()] == [
        step.observation["eye"].tolist() for step in steps
    ]


def test_images_are_left_out_on_request(tmp_path: Path, spec: ExperienceSpec, state_spec: ExperienceSpec) -> None:
    write_episode(tmp_path / "a.parquet", make_episode(0, 4), spec)
    steps, found = read_episode(tmp_path / "a.parquet", images=False)
    assert found == state_spec
    assert all(step.observation.keys() == {"state"} for step in steps)


def test_image_of_another_shape_is_named(spec: ExperienceSpec) -> None:
    png = {"eye": image_array([np.zeros((5, 5, 3), np.uint8)] * 3)}
    episode = StoredEpisode.of_steps(make_episode(0, 2), spec)
    with pytest.raises(HilserlError, match=r"'eye' has an image of \(5, 5, 3\)"):
        dataclasses.replace(episode, png=png).decoded()
