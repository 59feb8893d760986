"""Table, backdrop, light and materials of the scene for people.

Only geoms of the world body are added, so that the state of the decorated model is that of the plain one.
"""

from collections.abc import Sequence

import mujoco
import numpy as np

from hilserl.sim.control import ArmSetup
from hilserl.sim.scene import FLOOR_GEOM
from hilserl.sim.stage.wood import SIDE_PX, wood_texture

PREFIX = "stage/"
"""Prefix of the decoration's names."""

_HIDDEN_GROUP = 5
_OBJECT_GROUP = 0
_WOOD, _EDGES, _SHELL, _BACKDROP = (PREFIX + name for name in ("wood", "edges", "shell", "backdrop"))
_ZENITH_RGB, _NADIR_RGB = (0.88, 0.91, 0.94), (0.44, 0.51, 0.59)
_EDGE_RGB, _FACE_PX = (0.35, 0.35, 0.35), 48
"""Colour of a box's edges, and pixels of a face.

The colour is a factor of the box's own; an edge is one pixel wide.
"""
_REPEATS_PER_M = 1.6
_AROUND_M, _MIN_HALF_M, _THICKNESS_M = 0.28, 0.45, 0.036
"""Margin of the table around the arms, least half side, and thickness."""
_SHADOW_PX = 2048
_KEY_LUX, _FILL_LUX, _AROUND_LUX = 70_000.0, 6_000.0, 13_000.0


def decorate(spec: mujoco.MjSpec, arms: Sequence[ArmSetup]) -> None:
    """Put a scene on a table, in soft light, before a backdrop.

    Args:
        spec: The scene, changed in place.
        arms: Its arms; the table reaches around their workspaces.
    """
    _add_materials(spec)
    _apply_materials(spec)
    _add_light(spec)
    _add_table(spec, arms)


def _add_materials(spec: mujoco.MjSpec) -> None:
    kinds, rgb = mujoco.mjtTexture, mujoco.mjtTextureRole.mjTEXROLE_RGB
    flat, gradient = mujoco.mjtBuiltin.mjBUILTIN_FLAT, mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    backdrop = {"rgb1": _ZENITH_RGB, "rgb2": _NADIR_RGB, "width": 64, "height": 384}
    spec.add_texture(name=_BACKDROP, type=kinds.mjTEXTURE_SKYBOX, builtin=gradient, **backdrop)
    wood = spec.add_texture(name=_WOOD, type=kinds.mjTEXTURE_2D, width=SIDE_PX, height=SIDE_PX, nchannel=3)
    wood.data = wood_texture().tobytes()
    edges = {"mark": mujoco.mjtMark.mjMARK_EDGE, "rgb1": (1.0, 1.0, 1.0), "markrgb": _EDGE_RGB}
    face = {"width": _FACE_PX, "height": 6 * _FACE_PX}
    spec.add_texture(name=_EDGES, type=kinds.mjTEXTURE_CUBE, builtin=flat, **edges, **face)
    table = spec.add_material(name=_WOOD, specular=0.25, shininess=0.35, texuniform=True)
    table.texrepeat, table.textures[rgb] = [_REPEATS_PER_M, _REPEATS_PER_M], _WOOD
    spec.add_material(name=_EDGES, specular=0.3, shininess=0.4).textures[rgb] = _EDGES
    spec.add_material(name=_SHELL, specular=0.55, shininess=0.65)


def _apply_materials(spec: mujoco.MjSpec) -> None:
    """Give boxes visible edges, and other shapes a sheen.

    Geoms with a material keep it.
    """
    for geom in spec.geoms:
        if geom.name == FLOOR_GEOM:
            geom.group = _HIDDEN_GROUP
        elif not geom.material:
            box = geom.type == mujoco.mjtGeom.mjGEOM_BOX and geom.group == _OBJECT_GROUP
            geom.material = _EDGES if box else _SHELL


def _add_light(spec: mujoco.MjSpec) -> None:
    """Replace the lights by a warm and a cool one.

    The console's page counts in `intensity` (lux) and is lit by the backdrop, too. Offscreen rendering knows neither.
    """
    spec.visual.quality.shadowsize = _SHADOW_PX
    spec.visual.map.shadowclip = 1.2
    spec.visual.headlight.ambient = [0.42, 0.42, 0.44]
    spec.visual.headlight.diffuse = [0.18, 0.18, 0.18]
    spec.visual.headlight.specular = [0.05, 0.05, 0.05]
    for light in list(spec.lights):
        spec.delete(light)
    directional = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    key = spec.worldbody.add_light(type=directional, pos=[0.9, -0.9, 2.0], dir=[-0.35, 0.45, -1.0], castshadow=True)
    key.diffuse, key.specular, key.intensity = [0.46, 0.44, 0.41], [0.25, 0.25, 0.25], _KEY_LUX
    fill = spec.worldbody.add_light(type=directional, pos=[-1.0, -1.0, 1.5], dir=[0.8, 0.5, -0.6], castshadow=False)
    fill.diffuse, fill.specular, fill.intensity = [0.12, 0.14, 0.18], [0.0, 0.0, 0.0], _FILL_LUX
    around = spec.worldbody.add_light(type=mujoco.mjtLightType.mjLIGHT_IMAGE, intensity=_AROUND_LUX)
    around.texture = _BACKDROP


def _add_table(spec: mujoco.MjSpec, arms: Sequence[ArmSetup]) -> None:
    corners = [corner for arm in arms for corner in (arm.base_m, arm.workspace_low_m, arm.workspace_high_m)]
    points = np.array(corners)[:, :2]
    low, high = points.min(axis=0) - _AROUND_M, points.max(axis=0) + _AROUND_M
    size, centre = np.maximum((high - low) / 2, _MIN_HALF_M), (high + low) / 2
    table = spec.worldbody.add_geom(name=PREFIX + "table", type=mujoco.mjtGeom.mjGEOM_BOX, material=_WOOD, mass=0.0)
    table.size, table.pos = [*size, _THICKNESS_M / 2], [*centre, -_THICKNESS_M / 2]
    table.rgba = [1.0, 1.0, 1.0, 1.0]
    table.contype = table.conaffinity = 0
