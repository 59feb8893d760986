"""Rotations of poses, compared with SciPy."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from hilserl.errors import HilserlError
from hilserl.robot.control.impedance import pose_error
from hilserl.robot.control.poses import (
    angle_rad,
    cross,
    euler_xyz_rad,
    rotation_matrix,
    to_wxyz,
    to_xyzw,
    turned_towards,
    with_scipy_sign,
)
from hilserl.robot.http.schemas import PoseBody
from hilserl.sim.quaternions import from_matrix
from tests.support.arms import STILL
from tests.support.hil_serl_client import pose_of, straight_line


def test_rotations_agree_with_scipy() -> None:
    rng = np.random.default_rng(0)
    for quaternion, other in zip(Rotation.random(50, rng).as_quat(), Rotation.random(50, rng).as_quat(), strict=True):
        a, b = Rotation.from_quat(quaternion), Rotation.from_quat(other)
        assert np.allclose(rotation_matrix(quaternion), a.as_matrix())
        assert np.allclose(euler_xyz_rad(quaternion), a.as_euler("xyz"))
        assert np.isclose(angle_rad(quaternion, other), (b * a.inv()).magnitude())
        part = Rotation.from_quat(turned_towards(quaternion, other, 0.3))
        assert np.isclose((part * a.inv()).magnitude(), min(0.3, (b * a.inv()).magnitude()))
        assert np.allclose(to_xyzw(to_wxyz(quaternion)), quaternion)
        # The controller sees the vector part of the turn from the set point, in the base frame.
        error = pose_error(np.append(STILL, quaternion), np.append(STILL, other))[3:]
        turn = (a * b.inv()).as_quat()
        assert np.allclose(error, turn[:3] * (1 if turn[3] >= 0 else -1))
    upright = Rotation.from_euler("xyz", [0.3, np.pi / 2, 0.0]).as_quat()
    assert np.allclose(
        Rotation.from_euler("xyz", euler_xyz_rad(upright)).as_matrix(), rotation_matrix(upright), atol=1e-6
    )


def test_cross_agrees_with_numpy() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 3))
    assert np.allclose(cross(a, b), np.cross(a, b))


def test_pose_has_the_sign_of_a_rotation_matrix_in_scipy() -> None:
    rng = np.random.default_rng(0)
    for rotation in Rotation.random(500, rng):
        expected = Rotation.from_matrix(rotation.as_matrix()).as_quat()
        for sign in (1, -1):
            pose = with_scipy_sign(np.append(STILL, sign * rotation.as_quat()))
            assert np.allclose(pose[3:], expected)


@pytest.mark.parametrize("turn_rad", [0.0, 0.15, -0.3, 1.0])
def test_straight_lines_of_the_reference_s_client_are_taken_at_every_yaw(turn_rad: float) -> None:
    """The client interpolates from the server's quaternion to its own; an unnormalised one keeps its direction."""
    for yaw in np.linspace(-np.pi, np.pi, 361):
        start, goal = pose_of([0.4, 0.0, 0.3], yaw), pose_of([0.4, 0.0, 0.3], yaw + turn_rad)
        measured = with_scipy_sign(np.append(start[:3], to_xyzw(from_matrix(rotation_matrix(start[3:])))))
        for arr in straight_line(measured, goal):
            taken = PoseBody(arr.tolist()).pose()
            assert np.allclose(taken[3:] * np.linalg.norm(arr[3:]), arr[3:])


@pytest.mark.parametrize("scale", [0.0, 0.05, 2.5])
def test_pose_without_a_direction_is_refused(scale: float) -> None:
    with pytest.raises(HilserlError, match="unit quaternion"):
        PoseBody([0.4, 0.0, 0.3, scale, 0.0, 0.0, 0.0]).pose()
