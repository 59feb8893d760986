"""Poses in the form of the robot's HTTP interface.

A pose is float64 [7]: xyz in metres, then a unit quaternion xyzw.
"""

import numpy as np

Pose = np.ndarray


def to_wxyz(xyzw: np.ndarray) -> np.ndarray:
    """Convert a quaternion to MuJoCo's order."""
    return np.array([xyzw[3], xyzw[0], xyzw[1], xyzw[2]])


def to_xyzw(wxyz: np.ndarray) -> np.ndarray:
    """Convert a quaternion to the interface's order."""
    return np.array([wxyz[1], wxyz[2], wxyz[3], wxyz[0]])


def with_scipy_sign(pose: Pose) -> Pose:
    """Give a pose the sign that SciPy gives a rotation matrix.

    Its largest component is positive. HIL-SERL's clients interpolate the four numbers, so their own quaternions, made
    by such a rule, must not meet the server's with the other sign.
    """
    return pose if pose[3 + int(np.abs(pose[3:]).argmax())] >= 0 else np.concatenate([pose[:3], -pose[3:]])


def rotation_matrix(xyzw: np.ndarray) -> np.ndarray:
    """Return the rotation matrix of a unit quaternion, float64 [3, 3]."""
    x, y, z, w = xyzw
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Compute the cross product of two 3-vectors.

    NumPy's function takes ten times as long, too long for the arm's loop.
    """
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])


def euler_xyz_rad(xyzw: np.ndarray) -> np.ndarray:
    """Return the turns about the fixed axes x, y and z.

    Their order is that of SciPy's "xyz". At a pitch of 90 degrees the turn about z is 0.
    """
    r = rotation_matrix(xyzw)
    pitch = np.arcsin(np.clip(-r[2, 0], -1.0, 1.0))
    if abs(r[2, 0]) > 1 - 1e-12:
        return np.array([np.arctan2(-np.sign(r[2, 0]) * r[0, 1], r[1, 1]), pitch, 0.0])
    return np.array([np.arctan2(r[2, 1], r[2, 2]), pitch, np.arctan2(r[1, 0], r[0, 0])])


def angle_rad(a_xyzw: np.ndarray, b_xyzw: np.ndarray) -> float:
    """Return the angle between two orientations, 0 to pi."""
    # The arcsine is exact for small angles; the arccosine is not.
    a, b = a_xyzw, b_xyzw if a_xyzw @ b_xyzw >= 0 else -b_xyzw
    return float(4.0 * np.arcsin(min(1.0, float(np.linalg.norm(a - b)) / 2)))


def turned_towards(start_xyzw: np.ndarray, goal_xyzw: np.ndarray, at_most_rad: float) -> np.ndarray:
    """Turn an orientation towards another, on the shortest way.

    Args:
        start_xyzw: first orientation.
        goal_xyzw: second orientation.
        at_most_rad: largest turn.

    Returns:
        The orientation after the turn (spherical interpolation).
    """
    goal = goal_xyzw if start_xyzw @ goal_xyzw >= 0 else -goal_xyzw
    angle = angle_rad(start_xyzw, goal)
    if angle <= at_most_rad:
        return goal
    half, part = angle / 2, at_most_rad / angle
    turned = np.sin((1 - part) * half) * start_xyzw + np.sin(part * half) * goal
    return turned / np.linalg.norm(turned)
