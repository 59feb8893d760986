"""Episodes whose images may still be PNG files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from hilserl.data.arrow import rows_to_steps, stacked_images, to_table
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
    """An episode as columns, whose images are pixels or PNG files.

    Steps are made on request, since a conversion needs none.
    """

    numbers: pa.Table
    """Checked numbers of all steps, as `to_table` makes them without cameras."""
    spec: ExperienceSpec
    png: Mapping[str, pa.StructArray] = field(default_factory=dict)
    """PNG files of all steps, by camera."""
    pixels: Mapping[str, np.ndarray] = field(default_factory=dict)
    """Images of all steps, uint8 [steps, height, width, 3], by camera."""

    @classmethod
    def of_steps(cls, steps: Sequence[Step], spec: ExperienceSpec) -> "StoredEpisode":
        """Make an episode of steps, its reset first.

        Raises:
            HilserlError: a step does not fit the spec, or holds a number that no step may have.
        """
        pixels = {camera: stacked_images(steps, camera, shape) for camera, shape in spec.images}
        return cls(to_table(steps, spec.only(())), spec, pixels=pixels)

    @property
    def number(self) -> int:
        """Number of the episode."""
        return self.numbers["episode"][0].as_py()

    def renumbered(self, number: int) -> "StoredEpisode":
        """Return the episode with another number."""
        place = self.numbers.schema.get_field_index("episode")
        column = pa.array(np.full(self.numbers.num_rows, number))
        return replace(self, numbers=self.numbers.set_column(place, self.numbers.schema.field(place), column))

    def encoded(self, camera: str) -> pa.StructArray:
        """Return a camera's PNG files, one a step."""
        return self.png[camera] if camera in self.png else image_array(list(self.pixels[camera]))

    def images(self, camera: str, rows: Sequence[int]) -> list[np.ndarray]:
        """Return some of a camera's images, each uint8 [height, width, 3]."""
        if camera in self.png:
            return decoded_images(self.png[camera].take(pa.array(rows)), camera, dict(self.spec.images)[camera])
        return [self.pixels[camera][row] for row in rows]

    def decoded(self) -> list[Step]:
        """Return the steps with all images."""
        steps = rows_to_steps(self.numbers, self.spec.only(()))
        columns = {camera: self.images(camera, range(len(steps))) for camera, _ in self.spec.images}
        return [
            replace(step, observation={**step.observation, **{name: column[row] for name, column in columns.items()}})
            for row, step in enumerate(steps)
        ]
