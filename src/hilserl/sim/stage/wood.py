"""Texture of planks of light wood."""

import functools

import numpy as np
from scipy import ndimage

SIDE_PX = 512
"""Width and height of the texture in pixels."""
_PLANKS = 4
_LIGHT_RGB, _DARK_RGB = np.array([0.90, 0.78, 0.61]), np.array([0.74, 0.58, 0.41])
_FINE_PX, _COARSE_PX = (1.0, 60.0), (10.0, 120.0)
"""Structures of the grain: size across and along the planks."""
_JOINT_BRIGHTNESS = 0.72


@functools.cache
def wood_texture() -> np.ndarray:
    """Draw planks of wood; both sides of the texture fit together.

    Returns:
        uint8 [512, 512, 3]; the planks lie along the second axis.
    """
    rng = np.random.default_rng(0)
    planks = [_plank(rng) for _ in range(_PLANKS)]
    texture = (255 * np.concatenate(planks)).astype(np.uint8)
    texture.setflags(write=False)
    return texture


def _plank(rng: np.random.Generator) -> np.ndarray:
    """Draw one plank with a dark joint, float [128, 512, 3]."""
    shape = (SIDE_PX // _PLANKS, SIDE_PX)
    fine, coarse = (_noise(rng, shape, size) for size in (_FINE_PX, _COARSE_PX))
    across = np.arange(shape[0])[:, None] / shape[0]
    rings = np.sin(2 * np.pi * (across * rng.uniform(3.0, 5.0) + 0.35 * coarse))
    darkness = np.clip(0.38 + 0.13 * rings + 0.07 * fine + rng.uniform(-0.1, 0.1), 0.0, 1.0)[..., None]
    plank = _LIGHT_RGB * (1 - darkness) + _DARK_RGB * darkness
    plank[0] *= _JOINT_BRIGHTNESS
    return plank


def _noise(rng: np.random.Generator, shape: tuple[int, int], size_px: tuple[float, float]) -> np.ndarray:
    """Draw smooth noise of mean 0 and standard deviation 1."""
    noise = ndimage.gaussian_filter(rng.standard_normal(shape), size_px, mode="wrap")
    return (noise - noise.mean()) / noise.std()
