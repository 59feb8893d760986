"""Texture of wood."""

import numpy as np

from hilserl.sim.stage.wood import SIDE_PX, wood_texture


def test_wood_texture_is_always_the_same_light_and_continuous_at_its_sides() -> None:
    texture = wood_texture()
    assert (texture.shape, texture.dtype) == ((SIDE_PX, SIDE_PX, 3), np.uint8)
    assert np.array_equal(texture, wood_texture.__wrapped__())
    red, green, blue = texture.reshape(-1, 3).mean(axis=0)
    assert red > green > blue > 100
    inside, across = (np.abs(np.diff(each.astype(int), axis=1)).mean() for each in (texture, texture[:, [-1, 0]]))
    assert across < 2 * inside + 1
