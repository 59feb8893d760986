"""Geometry of the target marker in the 3D scene."""

import numpy as np

_MAX_DRAG_M = 2.0


def project(point_m: np.ndarray, camera: "FreeCamera") -> tuple[float, float] | None:
    """Project a point of the world frame onto the screen.

    Returns:
        Pixels from the top left; None for a point behind the camera.
    """
    forward, right, up = camera.axes
    relative = np.asarray(point_m) - camera.position_m
    depth = float(relative @ forward)
    if depth <= 1e-6:
        return None
    x = camera.width_px / 2 + camera.focal_px * float(relative @ right) / depth
    y = camera.height_px / 2 - camera.focal_px * float(relative @ up) / depth
    return x, y


def drag(point_m: np.ndarray, mouse_px: tuple[float, float], camera: "FreeCamera", *, upright: bool) -> np.ndarray:
    """Drag a point to the mouse, in its horizontal plane or vertically.

    The point stays if the line of sight does not meet that plane or line within two metres.

    Args:
        point_m: position of the point, in metres (world frame).
        mouse_px: pixel of the mouse, from the top left.
        camera: the camera of the scene.
        upright: True for a vertical motion.

    Returns:
        The position after the drag, float64 [3].
    """
    forward, right, up = camera.axes
    sideways, upwards = mouse_px[0] - camera.width_px / 2, camera.height_px / 2 - mouse_px[1]
    ray = forward + (sideways * right + upwards * up) / camera.focal_px
    point_m = np.asarray(point_m, float)
    # Upright: the vertical plane through the point that faces the camera.
    normal = np.array([forward[0], forward[1], 0.0]) if upright else np.array([0.0, 0.0, 1.0])
    slope = float(ray @ normal)
    if abs(slope) < 1e-6:
        return point_m
    along = float((point_m - camera.position_m) @ normal) / slope
    hit = camera.position_m + along * ray
    if along <= 0 or np.linalg.norm(hit - point_m) > _MAX_DRAG_M:
        return point_m
    return np.array([point_m[0], point_m[1], hit[2]]) if upright else np.array([hit[0], hit[1], point_m[2]])


class FreeCamera:
    """A free camera as MuJoCo defines it.

    Args:
        look_at_m: point in the middle of the image, in metres (world frame).
        distance_m: distance of the camera from that point.
        azimuth_deg: turn of the line of sight about z.
        elevation_deg: angle of the line of sight above the horizontal plane.
        fovy_deg: vertical field of view.
        size_px: width and height of the image.
    """

    def __init__(
        self,
        look_at_m: np.ndarray,
        distance_m: float,
        azimuth_deg: float,
        elevation_deg: float,
        fovy_deg: float,
        size_px: tuple[float, float],
    ) -> None:
        azimuth, elevation = np.deg2rad(azimuth_deg), np.deg2rad(elevation_deg)
        forward = np.array(
            [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)]
        )
        right = np.array([np.sin(azimuth), -np.cos(azimuth), 0.0])
        self.axes = forward, right, np.cross(right, forward)
        """Unit vectors forward, right and up (world frame)."""
        self.position_m = np.asarray(look_at_m, float) - distance_m * forward
        self.width_px, self.height_px = size_px
        self.focal_px = self.height_px / (2 * np.tan(np.deg2rad(fovy_deg) / 2))
