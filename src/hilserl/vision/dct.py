"""Low spatial frequencies of a feature map.

The cells of a map overlap in what they see, so neighbours are alike: a few low frequencies of each channel say where
things are almost as well as all cells do.
"""

import numpy as np
from jaxtyping import Float


def low_frequencies(rows: int, columns: int, order: int) -> Float[np.ndarray, "cells frequencies"]:
    """Make the matrix from a channel's cells to its low frequencies.

    These are the coefficients (i, j) with i + j < order of the two-dimensional orthonormal discrete cosine transform of
    type II, the lowest first.

    Args:
        rows: rows of the map.
        columns: columns of the map.
        order: bound on i + j.
    """
    along_rows, along_columns = _waves(rows), _waves(columns)
    kept = sorted(((i, j) for i in range(rows) for j in range(columns) if i + j < order), key=lambda ij: (sum(ij), ij))
    waves = [np.outer(along_rows[i], along_columns[j]).ravel() for i, j in kept]
    return np.stack(waves, axis=1).astype(np.float32)


def _waves(size: int) -> Float[np.ndarray, "waves cells"]:
    """Return the orthonormal cosines of a row of cells."""
    number, cell = np.arange(size)[:, None], np.arange(size)
    waves = np.cos(np.pi * number * (2 * cell + 1) / (2 * size))
    return waves / np.linalg.norm(waves, axis=1, keepdims=True)
