"""Quaternion functions agree with SciPy and keep their conventions."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hilserl.sim import quaternions

SAMPLES = Rotation.random(8, rng=np.random.default_rng(0))
PAIRS = [(SAMPLES[i], SAMPLES[i + 1]) for i in range(7)]


def wxyz(rotation: Rotation) -> np.ndarray:
    return rotation.as_quat(scalar_first=True)


def same_rotation(quaternion: np.ndarray, rotation: Rotation) -> bool:
    return bool(np.isclose(abs(quaternion @ wxyz(rotation)), 1.0))


@pytest.mark.parametrize(("start", "other"), PAIRS)
def test_rotate_turns_in_the_world_frame(start: Rotation, other: Rotation) -> None:
    turn_rad = other.as_rotvec()
    assert same_rotation(quaternions.rotate(wxyz(start), turn_rad), other * start)
    assert np.array_equal(quaternions.rotate(wxyz(start), np.zeros(3)), wxyz(start))


@pytest.mark.parametrize(("start", "end"), PAIRS)
def test_turn_between_leads_from_one_to_the_other(start: Rotation, end: Rotation) -> None:
    turn_rad = quaternions.turn_between(wxyz(start), wxyz(end))
    assert np.linalg.norm(turn_rad) <= np.pi + 1e-9
    assert same_rotation(quaternions.rotate(wxyz(start), turn_rad), end)


@pytest.mark.parametrize(("start", "other"), PAIRS)
def test_relative_to_is_told_in_the_first_frame(start: Rotation, other: Rotation) -> None:
    relative = quaternions.relative_to(wxyz(start), wxyz(other))
    assert relative[0] >= 0
    assert same_rotation(relative, start.inv() * other)


@pytest.mark.parametrize("rotation", list(SAMPLES))
def test_matrix_and_quaternion_convert_both_ways(rotation: Rotation) -> None:
    matrix = quaternions.rotation_matrix(wxyz(rotation))
    assert np.allclose(matrix, rotation.as_matrix())
    assert same_rotation(quaternions.from_matrix(matrix), rotation)
    vector = np.array([1.0, -2.0, 3.0])
    assert np.allclose(quaternions.rotate_vector(wxyz(rotation), vector), matrix @ vector)


def test_quaternion_with_sign_of_flips_to_the_nearer() -> None:
    quaternion = np.array([-0.5, 0.5, 0.5, 0.5])
    assert quaternions.with_sign_of(quaternion, quaternions.UPRIGHT_WXYZ)[0] == 0.5
    assert quaternions.with_sign_of(quaternion, (0.0, 1.0, 0.0, 0.0))[1] == 0.5
