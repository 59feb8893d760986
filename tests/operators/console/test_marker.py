"""Geometry of the target marker: projection and its inverse, the drag."""

from typing import Any

import mujoco
import numpy as np
import pytest

from hilserl.operators.console.marker import FreeCamera, drag, project

SIZE_PX = (960.0, 640.0)
CENTRE_PX = (480.0, 320.0)
LOOK_AT_M = np.array([0.38, -0.05, 0.12])
X, Y, Z = np.eye(3)
ANGLES = [(azimuth, elevation) for azimuth in (0, 28, 90, 135, 180, 251, -70) for elevation in (-80, -32, -5, 0, 20)]


def camera(
    azimuth_deg: float = 28.0, elevation_deg: float = -32.0, distance_m: float = 1.35, **other: Any
) -> FreeCamera:
    settings = {"look_at_m": LOOK_AT_M, "fovy_deg": 45.0, "size_px": SIZE_PX, **other}
    return FreeCamera(distance_m=distance_m, azimuth_deg=azimuth_deg, elevation_deg=elevation_deg, **settings)


def pixel_of(point_m: np.ndarray, camera: FreeCamera) -> tuple[float, float]:
    """Return the pixel of a point before the camera."""
    pixel = project(point_m, camera)
    assert pixel is not None
    return pixel


def random_camera(rng: np.random.Generator) -> FreeCamera:
    """Return a camera that looks down on the scene."""
    return camera(
        rng.uniform(-180, 180),
        rng.uniform(-75, -15),
        rng.uniform(0.8, 2.5),
        look_at_m=rng.uniform([0.2, -0.3, 0.0], [0.6, 0.3, 0.2]),
        fovy_deg=rng.uniform(30, 70),
        size_px=tuple(rng.uniform(300, 2000, 2)),
    )


def random_point(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform([0.2, -0.3, 0.0], [0.6, 0.3, 0.3])


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    """A model with its own field of view."""
    return mujoco.MjModel.from_xml_string(
        '<mujoco><visual><global fovy="38"/></visual><worldbody><geom size="1"/></worldbody></mujoco>'
    )


def drawn_at(model: mujoco.MjModel, point_m: np.ndarray, free: mujoco.MjvCamera) -> tuple[float, float]:
    """Return the pixel where OpenGL draws a point.

    The frustum is that of MuJoCo's free camera.
    """
    scene, data = mujoco.MjvScene(model, 10), mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    everything = mujoco.mjtCatBit.mjCAT_ALL
    mujoco.mjv_updateScene(model, data, mujoco.MjvOption(), mujoco.MjvPerturb(), free, everything, scene)
    eye = mujoco.mjv_averageCamera(scene.camera[0], scene.camera[1])
    relative, forward = point_m - eye.pos, np.array(eye.forward, float)
    to_near = eye.frustum_near / (relative @ forward)
    height = eye.frustum_top - eye.frustum_bottom
    right = to_near * (relative @ np.cross(forward, eye.up)) - eye.frustum_center
    up = to_near * (relative @ eye.up)
    width_px, height_px = SIZE_PX
    return width_px / 2 + right / height * height_px, (eye.frustum_top - up) / height * height_px


@pytest.mark.parametrize(("azimuth", "elevation"), ANGLES)
def test_projection_is_the_pixel_that_mujoco_draws(model: mujoco.MjModel, azimuth: float, elevation: float) -> None:
    free = mujoco.MjvCamera()
    mujoco.mjv_defaultFreeCamera(model, free)
    free.lookat[:] = LOOK_AT_M
    free.distance, free.azimuth, free.elevation = 1.35, azimuth, elevation
    ours = camera(azimuth, elevation, fovy_deg=float(model.vis.global_.fovy))
    rng = np.random.default_rng(0)
    for _ in range(5):
        point = random_point(rng)
        assert project(point, ours) == pytest.approx(drawn_at(model, point, free), abs=0.02)


@pytest.mark.parametrize(("azimuth", "elevation"), ANGLES)
def test_projection_puts_the_look_at_point_in_the_middle_with_right_and_up(azimuth: float, elevation: float) -> None:
    ours = camera(azimuth, elevation)
    forward, right, up = ours.axes
    assert np.array(ours.axes) @ np.array(ours.axes).T == pytest.approx(np.eye(3), abs=1e-12)
    assert project(LOOK_AT_M, ours) == pytest.approx(CENTRE_PX)
    x, y = pixel_of(LOOK_AT_M + 0.1 * right, ours)
    assert (x > CENTRE_PX[0] + 10, y) == (True, pytest.approx(CENTRE_PX[1]))
    x, y = pixel_of(LOOK_AT_M + 0.1 * up, ours)
    assert (x, y < CENTRE_PX[1] - 10) == (pytest.approx(CENTRE_PX[0]), True)
    x, y = pixel_of(LOOK_AT_M + 0.05 * Z, ours)
    assert (x, y < CENTRE_PX[1]) == (pytest.approx(CENTRE_PX[0]), True), "up in the world is up in the image"
    assert project(LOOK_AT_M + 0.3 * forward, ours) == pytest.approx(CENTRE_PX)


def test_projection_over_the_robots_shoulder_has_forward_up_and_left_left() -> None:
    ours = camera(0.0, -30.0)
    assert pixel_of(LOOK_AT_M + 0.1 * X, ours)[1] < CENTRE_PX[1]
    assert pixel_of(LOOK_AT_M + 0.1 * Y, ours)[0] < CENTRE_PX[0]


def test_projection_of_a_point_behind_the_camera_is_none() -> None:
    rng = np.random.default_rng(1)
    for _ in range(100):
        ours = random_camera(rng)
        sideways = rng.uniform(-1, 1) * ours.axes[1] + rng.uniform(-1, 1) * ours.axes[2]
        assert project(ours.position_m - rng.uniform(0, 2) * ours.axes[0] + sideways, ours) is None
        assert project(ours.position_m + rng.uniform(0.1, 2) * ours.axes[0] + sideways, ours) is not None


@pytest.mark.parametrize("upright", [False, True])
def test_drag_to_the_same_pixel_keeps_the_point(upright: bool) -> None:
    rng = np.random.default_rng(2)
    for _ in range(300):
        ours, point = random_camera(rng), random_point(rng)
        assert drag(point, pixel_of(point, ours), ours, upright=upright) == pytest.approx(point, abs=1e-9)


def test_drag_to_the_pixel_of_a_point_in_the_plane_leads_there() -> None:
    rng = np.random.default_rng(3)
    for _ in range(300):
        ours, point, other = random_camera(rng), random_point(rng), random_point(rng)
        other[2] = point[2]
        assert drag(point, pixel_of(other, ours), ours, upright=False) == pytest.approx(other, abs=1e-9)


def test_upright_drag_to_a_pixel_above_or_below_leads_there() -> None:
    rng = np.random.default_rng(4)
    for _ in range(300):
        ours, point = random_camera(rng), random_point(rng)
        other = np.array([*point[:2], rng.uniform(0.0, 0.3)])
        assert drag(point, pixel_of(other, ours), ours, upright=True) == pytest.approx(other, abs=1e-9)


def test_drag_changes_only_its_coordinates_and_never_far() -> None:
    rng = np.random.default_rng(5)
    stayed = 0
    for _ in range(2000):
        ours, point = camera(rng.uniform(-180, 180), rng.uniform(-90, 90)), random_point(rng)
        x, y = rng.uniform(-500, 1500, 2)
        mouse = float(x), float(y)
        flat, upright = (drag(point, mouse, ours, upright=way) for way in (False, True))
        assert flat[2] == point[2]
        assert (upright[:2] == point[:2]).all()
        for moved in (flat, upright):
            assert np.isfinite(moved).all()
            assert np.linalg.norm(moved - point) <= 2.0
            stayed += bool((moved == point).all())
    assert 0 < stayed < 4000, "both ways were tried"


def test_drag_keeps_its_argument_unchanged() -> None:
    point = LOOK_AT_M.copy()
    drag(point, (100.0, 500.0), camera(), upright=False)[0] += 1.0
    assert (point == LOOK_AT_M).all()


@pytest.mark.parametrize("azimuth", [0.0, 28.0, 200.0])
def test_drag_keeps_the_point_if_the_line_of_sight_misses_the_plane(azimuth: float) -> None:
    level = camera(azimuth, 0.0)
    above = LOOK_AT_M + 0.1 * Z
    for x in (0.0, 480.0, 900.0):
        assert (drag(above, (x, CENTRE_PX[1]), level, upright=False) == above).all(), "parallel to it"
        assert (drag(LOOK_AT_M, (x, CENTRE_PX[1]), level, upright=False) == LOOK_AT_M).all(), "or in it"
        assert (drag(above, (x, 600.0), level, upright=False) == above).all(), "or away from it"
    down = camera(azimuth, -30.0)
    assert (drag(LOOK_AT_M, (480.0, -400.0), down, upright=False) == LOOK_AT_M).all(), "into the sky"
    straight_down = camera(azimuth, -90.0)
    assert (drag(LOOK_AT_M, CENTRE_PX, straight_down, upright=True) == LOOK_AT_M).all()


@pytest.mark.parametrize("upright", [False, True])
def test_drag_keeps_a_point_behind_the_camera(upright: bool) -> None:
    ours = camera()
    behind = ours.position_m - 0.5 * ours.axes[0]
    for mouse in (CENTRE_PX, (100.0, 500.0), (900.0, 100.0)):
        assert (drag(behind, mouse, ours, upright=upright) == behind).all()
