"""One image with the first and the last image of every episode."""

from pathlib import Path

import numpy as np

from hilserl.data.png import encode_png
from hilserl.datasets.source import EpisodeView
from hilserl.errors import HilserlError
from hilserl.files import atomically
from hilserl.images import letterboxed

_TILE_PX, _BORDER_PX, _COLUMNS = 96, 3, 6
_COLOURS = {True: (42, 127, 79), False: (192, 57, 43), None: (120, 120, 120)}
"""Colours of a success, a failure, and an episode that tells neither."""
MAX_EPISODES = 600


class ContactSheet:
    """First and last images of episodes, row by row.

    The border is green for a success, red for a failure, grey if the recording does not tell.

    Args:
        camera: camera to show; None takes the first.
    """

    def __init__(self, camera: str | None = None) -> None:
        self._camera = camera
        self._tiles: list[np.ndarray] = []

    @property
    def num_episodes(self) -> int:
        """Number of episodes on the sheet."""
        return len(self._tiles)

    def add(self, view: EpisodeView) -> None:
        """Add an episode.

        Those beyond `MAX_EPISODES` and those without images are left out.

        Raises:
            HilserlError: the episode has no such camera.
        """
        if not view.images or len(self._tiles) == MAX_EPISODES:
            return
        camera = self._camera or next(iter(view.images))
        if camera not in view.images:
            raise HilserlError(f"{view.name} has no camera {camera!r}. Available: {', '.join(view.images)}.")
        first = last = None
        for image in view.images[camera]():
            first, last = (image if first is None else first), image
        if first is None or last is None:
            return
        tile = np.empty((_TILE_PX + 2 * _BORDER_PX, 2 * _TILE_PX + 3 * _BORDER_PX, 3), np.uint8)
        tile[:] = _COLOURS[view.success]
        inside = tile[_BORDER_PX:-_BORDER_PX, _BORDER_PX:-_BORDER_PX]
        inside[:, :_TILE_PX], inside[:, -_TILE_PX:] = (letterboxed(i, _TILE_PX, _TILE_PX) for i in (first, last))
        self._tiles.append(tile)

    def write(self, path: Path) -> None:
        """Write the sheet as PNG.

        Raises:
            HilserlError: no episode has images, or the disk refuses.
        """
        if not self._tiles:
            raise HilserlError("No episode has images, so there is nothing to draw. Leave --image out.")
        columns = min(_COLUMNS, len(self._tiles))
        rows = -(-len(self._tiles) // columns)
        height, width, _ = self._tiles[0].shape
        sheet = np.full((rows * height, columns * width, 3), 255, np.uint8)
        for index, tile in enumerate(self._tiles):
            row, column = divmod(index, columns)
            sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
        (data,) = encode_png([sheet])
        atomically(path, lambda part: part.write_bytes(data))
