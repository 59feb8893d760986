"""Domain randomisation: looks, light, cameras and the objects' physics.

The compiled model is changed in place, always from its nominal values. `mj_setConst` renews what MuJoCo derives from
masses and poses (https://mujoco.readthedocs.io/en/stable/programming/simulation.html#mjmodel-changes); it leaves the
bounding volumes that collision detection trusts, so they are scaled here.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from hilserl.sim.control import ArmSetup
from hilserl.sim.quaternions import UPRIGHT_WXYZ, rotate_vector
from hilserl.sim.scene import FLOOR_GEOM, OVERVIEW

_CHANGED = (
    *("body_mass", "body_inertia", "body_ipos", "bvh_aabb", "site_pos"),
    *("geom_pos", "geom_size", "geom_rbound", "geom_aabb", "geom_friction", "geom_rgba"),
    *("cam_pos", "cam_quat", "light_dir", "light_diffuse"),
)


@dataclass(frozen=True)
class Randomisation:
    """The ranges of a task's randomisation.

    Factors are (low, high); the others are the most in either direction along each axis.
    """

    bodies: tuple[str, ...] = ()
    """Bodies whose size, mass and colour vary.

    They are made of primitives and carry no other bodies.
    """
    size_factor: tuple[float, float] = (0.88, 1.12)
    mass_factor: tuple[float, float] = (0.5, 2.0)
    """Factor of the mass; half is as likely as double."""
    friction_factor: tuple[float, float] = (0.7, 1.3)
    brightness_offset: float = 0.1
    """Common offset of red, green and blue, each in [0, 1]."""
    tint_offset: float = 0.06
    """Separate offset of red, green and blue."""
    light_factor: tuple[float, float] = (0.75, 1.25)
    light_tilt_deg: float = 12.0
    standing_camera_m: float = 0.02
    standing_camera_deg: float = 2.0
    mounted_camera_m: float = 0.003
    mounted_camera_deg: float = 1.0


class Randomiser:
    """Draws models from the ranges around a compiled one."""

    def __init__(
        self, model: mujoco.MjModel, ranges: Randomisation, arms: tuple[ArmSetup, ...] = (ArmSetup(),)
    ) -> None:
        self._model, self._ranges = model, ranges
        self._nominal = {field: getattr(model, field).copy() for field in _CHANGED}
        light = model.vis.headlight
        self._nominal_ambient, self._nominal_headlight = light.ambient.copy(), light.diffuse.copy()
        self._bodies = [model.body(name).id for name in ranges.bodies]
        prefixes = tuple(arm.prefix for arm in arms)
        pads = [arm.prefix + pad for arm in arms for side in arm.robot.gripper.pads for pad in side]
        self._pads = [model.geom(name).id for name in pads]
        owners = [model.body(body).name for body in model.geom_bodyid]
        robot = [geom for geom, owner in enumerate(owners) if owner.startswith(prefixes)]
        objects = [_rows(model.body_geomadr[body], model.body_geomnum[body]) for body in self._bodies]
        self._of_one_colour = [*objects, [model.geom(FLOOR_GEOM).id], robot]
        self._cameras = [camera for camera in range(model.ncam) if model.camera(camera).name != OVERVIEW.name]

    def draw(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Draw the next model; reset `data`, which is scratch, afterwards."""
        for body in self._bodies:
            self._vary_body(body, rng)
        self._vary_friction(rng)
        self._vary_colours(rng)
        self._vary_light(rng)
        self._vary_cameras(rng)
        mujoco.mj_setConst(self._model, data)

    def _vary_body(self, body: int, rng: np.random.Generator) -> None:
        model = self._model
        size = rng.uniform(*self._ranges.size_factor)
        mass = np.exp(rng.uniform(*np.log(self._ranges.mass_factor)))
        self._scale("body_mass", body, mass)
        self._scale("body_inertia", body, mass * size**2)
        self._scale("body_ipos", body, size)
        self._scale("bvh_aabb", _rows(model.body_bvhadr[body], model.body_bvhnum[body]), size)
        self._scale("site_pos", model.site_bodyid == body, size)
        for field in ("geom_pos", "geom_size", "geom_rbound", "geom_aabb"):
            self._scale(field, _rows(model.body_geomadr[body], model.body_geomnum[body]), size)

    def _vary_friction(self, rng: np.random.Generator) -> None:
        """Vary the friction of the finger pads and of all else.

        Of two geoms MuJoCo takes the higher priority's friction (the pads' are above the objects'), then the larger:
        an object's own alone would hardly count.
        """
        pads, all_else = rng.uniform(*self._ranges.friction_factor, 2)
        self._scale("geom_friction", slice(None), all_else)
        self._scale("geom_friction", self._pads, pads)

    def _vary_colours(self, rng: np.random.Generator) -> None:
        brightness, tint = self._ranges.brightness_offset, self._ranges.tint_offset
        for geoms in self._of_one_colour:
            offset = rng.uniform(-brightness, brightness) + rng.uniform(-tint, tint, 3)
            self._model.geom_rgba[geoms, :3] = np.clip(self._nominal["geom_rgba"][geoms, :3] + offset, 0.0, 1.0)

    def _vary_light(self, rng: np.random.Generator) -> None:
        ambient, headlight, lamps = rng.uniform(*self._ranges.light_factor, 3)
        self._model.vis.headlight.ambient = self._nominal_ambient * ambient
        self._model.vis.headlight.diffuse = self._nominal_headlight * headlight
        self._scale("light_diffuse", slice(None), lamps)
        for light, direction in enumerate(self._nominal["light_dir"]):
            tilt = _turned(np.array(UPRIGHT_WXYZ), self._ranges.light_tilt_deg, rng)
            self._model.light_dir[light] = rotate_vector(tilt, direction)

    def _vary_cameras(self, rng: np.random.Generator) -> None:
        ranges = self._ranges
        for camera in self._cameras:
            standing = self._model.cam_bodyid[camera] == 0
            shift_m = ranges.standing_camera_m if standing else ranges.mounted_camera_m
            turn_deg = ranges.standing_camera_deg if standing else ranges.mounted_camera_deg
            self._model.cam_pos[camera] = self._nominal["cam_pos"][camera] + rng.uniform(-shift_m, shift_m, 3)
            self._model.cam_quat[camera] = _turned(self._nominal["cam_quat"][camera], turn_deg, rng)

    def _scale(self, field: str, rows: int | slice | list[int] | np.ndarray, factor: float) -> None:
        getattr(self._model, field)[rows] = self._nominal[field][rows] * factor


def _rows(first: int, count: int) -> slice:
    return slice(first, first + count)


def _turned(quaternion_wxyz: np.ndarray, most_deg: float, rng: np.random.Generator) -> np.ndarray:
    """Turn an orientation about each of its axes by at most `most_deg`."""
    turned = quaternion_wxyz.copy()
    mujoco.mju_quatIntegrate(turned, np.deg2rad(rng.uniform(-most_deg, most_deg, 3)), 1.0)
    return turned
