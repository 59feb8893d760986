"""Offscreen rendering, cheap enough to feed a policy."""

from collections.abc import Collection
from typing import NamedTuple

import mujoco
import numpy as np

from hilserl import opengl
from hilserl.errors import HilserlError, unknown
from hilserl.sim.robot_files.meshes import FITTED_GROUP, MESH_GROUP

_FOR_PEOPLE, _FOR_POLICY = (32, 16, 4), (12, 6, 0)
"""Slices and stacks of round shapes, and samples a pixel.

In software rendering they cost more than everything else.
"""


class Crop(NamedTuple):
    """A part of a camera's view, in fractions of the whole.

    `top` and `left` count from the upper left corner.
    """

    top: float
    left: float
    height: float
    width: float

    @property
    def is_inside(self) -> bool:
        """True if the part is not empty and lies inside the view."""
        rounding = 1e-9
        return all(a >= 0 and size > 0 and a + size <= 1 + rounding for a, size in (self[::2], self[1::2]))


def checked_crops(
    cameras: tuple[str, ...],
    crops: dict[str, tuple[float, float, float, float]],
    existing: Collection[str] | None = None,
) -> dict[str, Crop]:
    """Check the crops of cameras.

    Args:
        cameras: Names of the cameras in use.
        crops: Crops by camera.
        existing: Names of all cameras; None if they are not known.

    Returns:
        The crops by camera.

    Raises:
        HilserlError: A camera does not exist or is named twice, or a crop is not inside its view.
    """
    for name in cameras:
        if existing is not None and name not in existing:
            raise unknown("camera", name, existing)
    if not cameras or len(set(cameras)) < len(cameras):
        which = sorted(existing) if existing else "names"
        raise HilserlError(f"cameras={cameras!r}: expected one or more of {which}, each once.")
    for name, crop in crops.items():
        if name not in cameras:
            raise unknown("camera to crop", name, cameras)
        if len(crop) != 4 or not Crop(*crop).is_inside:
            raise HilserlError(
                f"crop[{name!r}]={crop!r}: expected (top, left, height, width) in fractions of the view, height and "
                "width above 0, top + height and left + width at most 1."
            )
    return {name: Crop(*crop) for name, crop in crops.items()}


class Cameras:
    """Renderer of a model's named cameras.

    It opens an OpenGL context for each image size when that is first asked for, also after `close`.

    Args:
        model: The model.
        for_people: Draw meshes, shadows and a sky, which cost several times the rest.
    """

    def __init__(self, model: mujoco.MjModel, *, for_people: bool = False) -> None:
        self._model, self._for_people = model, for_people
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}

    def render(
        self,
        data: mujoco.MjData,
        camera: str,
        height: int,
        width: int,
        *,
        crop: Crop | None = None,
    ) -> np.ndarray:
        """Render one camera.

        Args:
            data: The state to draw.
            camera: The camera's name.
            height: Image height in pixels.
            width: Image width in pixels.
            crop: The part of the view to draw, stretched to the same size; None for the whole.

        Returns:
            uint8 [height, width, 3].
        """
        renderer = self._renderer(height, width)
        renderer.update_scene(data, camera, _visible(for_people=self._for_people))
        if crop:
            _narrow(renderer.scene, width / height, crop)
        return renderer.render()

    def _renderer(self, height: int, width: int) -> mujoco.Renderer:
        key = (height, width)
        if key not in self._renderers:
            most = self._model.vis.global_
            if not (1 <= width <= most.offwidth and 1 <= height <= most.offheight):
                raise HilserlError(
                    f"Invalid image size {width}x{height}: expected 1x1 to {most.offwidth}x{most.offheight}."
                )
            quality = self._model.vis.quality
            quality.numslices, quality.numstacks, quality.offsamples = _FOR_PEOPLE if self._for_people else _FOR_POLICY
            try:
                renderer = mujoco.Renderer(self._model, height, width)
            except (AttributeError, ImportError, RuntimeError, mujoco.FatalError) as error:
                raise HilserlError(
                    f"OpenGL cannot draw {width}x{height} offscreen here. {opengl.trouble or error} Without a display, "
                    "set MUJOCO_GL=egl; on Debian and Ubuntu, software rendering is in libegl1 and libgl1-mesa-dri."
                ) from error
            flags = renderer.scene.flags
            flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self._for_people
            flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
            flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = self._for_people
            self._renderers[key] = renderer
        return self._renderers[key]

    def close(self) -> None:
        """Release all OpenGL contexts."""
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()


def _visible(*, for_people: bool) -> mujoco.MjvOption:
    """Choose meshes for people, and the primitives fitted to them for policies."""
    option = mujoco.MjvOption()
    if for_people:
        option.geomgroup[FITTED_GROUP], option.geomgroup[MESH_GROUP] = 0, 1
    return option


def _narrow(scene: mujoco.MjvScene, aspect: float, crop: Crop) -> None:
    """Narrow the view to the crop.

    This is sharper and cheaper than cutting it from a larger image.
    """
    for eye in scene.camera:
        height = eye.frustum_top - eye.frustum_bottom
        # `frustum_width` is half the width; at 0 the width follows from the height and the image's aspect.
        half_width = eye.frustum_width or aspect * height / 2
        eye.frustum_center += (2 * crop.left + crop.width - 1) * half_width
        eye.frustum_width = crop.width * half_width
        eye.frustum_top -= crop.top * height
        eye.frustum_bottom = eye.frustum_top - crop.height * height
