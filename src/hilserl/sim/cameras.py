"""Offscreen rendering, cheap enough to feed a policy."""

import mujoco
import numpy as np

from hilserl.errors import HilserlError

_FOR_PEOPLE, _FOR_POLICY = (32, 16, 4), (12, 6, 0)
"""Slices and stacks of round shapes, and samples a pixel: in software they cost more than everything else."""


class Cameras:
    """Renders named cameras of one model, opening an OpenGL context for each picture size when first asked."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model = model
        self._renderers: dict[tuple[int, int, bool], mujoco.Renderer] = {}

    def render(
        self, data: mujoco.MjData, camera: str, height: int, width: int, *, for_people: bool = False
    ) -> np.ndarray:
        """uint8 [height, width, 3]. For people there are shadows and a sky, which cost several times the picture."""
        renderer = self._renderer(height, width, for_people)
        renderer.update_scene(data, camera)
        return renderer.render()

    def _renderer(self, height: int, width: int, for_people: bool) -> mujoco.Renderer:
        key = (height, width, for_people)
        if key not in self._renderers:
            quality = self._model.vis.quality
            quality.numslices, quality.numstacks, quality.offsamples = _FOR_PEOPLE if for_people else _FOR_POLICY
            try:
                renderer = mujoco.Renderer(self._model, height, width)
            except (AttributeError, ImportError, RuntimeError, mujoco.FatalError) as error:
                raise HilserlError(
                    f"OpenGL cannot draw {width}x{height} offscreen here ({error}). Without a display, set "
                    "MUJOCO_GL=egl; on Debian and Ubuntu, software rendering is in libegl1 and libgl1-mesa-dri."
                ) from error
            flags = renderer.scene.flags
            flags[mujoco.mjtRndFlag.mjRND_SHADOW] = for_people
            flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = False
            flags[mujoco.mjtRndFlag.mjRND_SKYBOX] = for_people
            self._renderers[key] = renderer
        return self._renderers[key]

    def close(self) -> None:
        for renderer in self._renderers.values():
            renderer.close()
        self._renderers.clear()
