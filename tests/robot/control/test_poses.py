"""Rotations of poses, compared with SciPy."""

import numpy as np
from scipy.spatial.transform import Rotation

from hilserl.robot.control.impedance import pose_error
from hilserl.robot.control.poses import (
    angle_rad,
    cross,
    euler_xyz_rad,
    rotation_matrix,
    to_wxyz,
    to_xyzw,
    turned_towards,
)
from tests.support.arms import STILL


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
