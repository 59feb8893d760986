"""The trays of the handover task, with a chute between them."""

import math

import mujoco
import numpy as np

TRAY_X_M = 0.25
"""Distance of the trays' middles from the origin, along -x and +x.

The left arm's tray is at -x, the right arm's at +x, both at y = 0.
"""
TRAY_HALF_M = (0.14, 0.09)
"""Half the size of a tray along x and y."""
PLATE_M, RIM_M = 0.005, 0.012
"""Heights of a tray's floor and of its rim.

The fingers of the lowest tool pass over the rim.
"""
RIDGE_M = (0.06, 0.1)
"""End of the chute between the trays, along x and z.

The chute leads a dropped bar back into the first tray and is that tray's far rim.
"""
_CHUTE_HALF_M = 0.11
"""Half the width of the chute."""
_SMOOTH = (0.1, 0.005, 0.0001)
"""Friction of trays and chute.

A dropped bar slides down the chute until it lies flat. Their priority of 1 makes it count instead of the bar's.
"""
_BOX = mujoco.mjtGeom.mjGEOM_BOX
_LEFT_TRAY, _RIGHT_TRAY, _CHUTE = (0.80, 0.74, 0.62, 1.0), (0.45, 0.55, 0.45, 1.0), (0.45, 0.46, 0.48, 1.0)


def add_trays(world: mujoco.MjSpec) -> None:
    """Add both trays and the chute between them."""
    _add_tray(world, -TRAY_X_M, _LEFT_TRAY, rims=(-1.0,))
    _add_tray(world, TRAY_X_M, _RIGHT_TRAY, rims=(-1.0, 1.0))
    _add_chute(world)


def _add_tray(world: mujoco.MjSpec, x_m: float, colour: tuple[float, ...], rims: tuple[float, ...]) -> None:
    """Add a tray with rims along both long sides and some ends.

    The ends are named -1 and +1, along x.
    """
    length, width = TRAY_HALF_M
    half_m = 0.004
    parts = [((length, width, PLATE_M / 2), (x_m, 0.0, PLATE_M / 2))]
    parts += [((length, half_m, RIM_M / 2), (x_m, side * (width + half_m), RIM_M / 2)) for side in (-1.0, 1.0)]
    parts += [((half_m, width, RIM_M / 2), (x_m + side * (length + half_m), 0.0, RIM_M / 2)) for side in rims]
    for size, centre in parts:
        geom = world.worldbody.add_geom(type=_BOX, size=size, pos=centre, rgba=colour)
        geom.priority, geom.friction = 1, _SMOOTH


def _add_chute(world: mujoco.MjSpec) -> None:
    """Add a smooth slope from the left tray's floor to the ridge.

    The ridge's other side is steep.
    """
    start = np.array([TRAY_HALF_M[0] - TRAY_X_M, 0.0])
    along = np.array(RIDGE_M) - start
    length = float(np.linalg.norm(along))
    pitch = -math.atan2(along[1], along[0])
    normal = np.array([-along[1], along[0]]) / length
    half_m = 0.004
    x, z = start + along / 2 - half_m * normal
    chute = world.worldbody.add_geom(type=_BOX, size=[length / 2, _CHUTE_HALF_M, half_m], pos=[x, 0.0, z], rgba=_CHUTE)
    chute.quat = [math.cos(pitch / 2), 0.0, math.sin(pitch / 2), 0.0]
    side = world.worldbody.add_geom(type=_BOX, size=[half_m, _CHUTE_HALF_M, RIDGE_M[1] / 2], rgba=_CHUTE)
    side.pos = [RIDGE_M[0] - half_m, 0.0, RIDGE_M[1] / 2 - 2 * half_m]
    for geom in (chute, side):
        geom.priority, geom.friction = 1, _SMOOTH
