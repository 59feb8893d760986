"""Episodes whose images may still be PNG files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from hilserl.data.arrow import stacked_images
from hilserl.data.png import decode_image, encode_png
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""Type of an image: bytes and name of a PNG file."""


def image_array(images: Sequence[np.ndarray]) -> pa.StructArray:
    """Encode images, each uint8 [height, width, 3], as PNG files."""
    names = pa.array([f"{index:06d}.png" for index in range(len(images))])
    return pa.StructArray.from_arrays([pa.array(encode_png(images), pa.binary()), names], fields=list(IMAGE))


def decoded_images(column: Any, camera: str, shape: tuple[int, int, int]) -> list[np.ndarray]:
    """Decode a column of PNG files, each uint8 [height, width, 3].

    Raises:
        HilserlError: an image is damaged, or of another shape.
    """
    images: list[np.ndarray] = []
    if column.null_count or column.field("bytes").null_count:
        raise HilserlError(f"Camera {camera!r} lacks an image.")
    for row, data in enumerate(column.field("bytes").to_pylist()):
        images.append(decode_image(data))
        if images[-1].shape != shape:
            found = images[-1].shape
            raise HilserlError(f"Camera {camera!r} has an image of {found} at step {row}, expected {shape}.")
    return images


@dataclass(frozen=True)
class StoredEpisode:
    """An episode whose images are in its steps or PNG files."""

    steps: Sequence[Step]
    """The steps; an observation lacks the cameras that are in `png`."""
    spec: ExperienceSpec
    png: Mapping[str, pa.StructArray] = field(default_factory=dict)
    """PNG files of all steps, by camera."""

    def encoded(self, camera: str) -> pa.StructArray:
        """Return a camera's PNG files, one a step.

        Raises:
            HilserlError: the steps have images of another shape or type.
        """
        if camera in self.png:
            return self.png[camera]
        return image_array(list(stacked_images(self.steps, camera, dict(self.spec.images)[camera])))

    def images(self, camera: str, rows: Sequence[int]) -> list[np.ndarray]:
        """Return some of a camera's images, each uint8 [height, width, 3]."""
        if camera in self.png:
            return decoded_images(self.png[camera].take(pa.array(rows)), camera, dict(self.spec.images)[camera])
        return [self.steps[row].observation[camera] for row in rows]

    def decoded(self) -> list[Step]:
        """Return the steps with all images."""
        rows = range(len(self.steps))
        columns = {camera: self.images(camera, rows) for camera in self.png}
        return [
            replace(step, observation={**step.observation, **{name: column[row] for name, column in columns.items()}})
            for row, step in enumerate(self.steps)
        ]
