"""Low frequencies are those of the discrete cosine transform."""

import numpy as np
import pytest
import scipy.fft

from hilserl.vision.dct import low_frequencies


@pytest.mark.parametrize(("rows", "columns", "order"), [(8, 8, 5), (6, 9, 5), (2, 2, 5), (1, 7, 3), (4, 4, 1)])
def test_low_frequencies_are_scipys(rows: int, columns: int, order: int) -> None:
    cells = np.random.default_rng(0).normal(size=(rows, columns))
    expected = np.asarray(scipy.fft.dctn(cells, norm="ortho"))
    kept = [expected[i, j] for i in range(rows) for j in range(columns) if i + j < order]
    found = cells.ravel() @ low_frequencies(rows, columns, order)
    assert len(found) == len(kept)
    np.testing.assert_allclose(np.sort(found), np.sort(kept), atol=1e-5)


def test_lowest_frequency_is_the_mean() -> None:
    cells = np.random.default_rng(0).normal(size=(8, 8))
    assert (cells.ravel() @ low_frequencies(8, 8, 5))[0] == pytest.approx(8 * cells.mean())
