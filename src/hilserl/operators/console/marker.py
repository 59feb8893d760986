"""The target marker: a point in the 3D view that the person drags, and the geometry of dragging."""

import numpy as np

_FARTHEST_M = 2.0


def screen_of(point_m: np.ndarray, camera: "PinHole") -> tuple[float, float] | None:
    """Where a point of the world is seen, in pixels from the top left; None behind the camera."""
    forward, right, up = camera.axes
    relative = np.asarray(point_m) - camera.position_m
    depth = float(relative @ forward)
    if depth <= 1e-6:
        return None
    x = camera.width_px / 2 + camera.focal_px * float(relative @ right) / depth
    y = camera.height_px / 2 - camera.focal_px * float(relative @ up) / depth
    return x, y


def dragged(point_m: np.ndarray, mouse_px: tuple[float, float], camera: "PinHole", *, upright: bool) -> np.ndarray:
    """Where the point goes when the mouse is at a pixel: in its own horizontal plane, or straight up and down.

    Where the view does not meet that plane or line within two metres, the point stays.
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
    if along <= 0 or np.linalg.norm(hit - point_m) > _FARTHEST_M:
        return point_m
    return np.array([point_m[0], point_m[1], hit[2]]) if upright else np.array([hit[0], hit[1], point_m[2]])


class PinHole:
    """A free camera as MuJoCo defines it: looking at a point from a distance, turned by azimuth and elevation."""

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
        self.position_m = np.asarray(look_at_m, float) - distance_m * forward
        self.width_px, self.height_px = size_px
        self.focal_px = self.height_px / (2 * np.tan(np.deg2rad(fovy_deg) / 2))
