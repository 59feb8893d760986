"""Statistics of parts become those of the whole."""

import numpy as np
import pytest

from hilserl.datasets.lerobot.statistics import (
    RunningStatistics,
    column_statistics,
    columns_statistics,
    image_statistics,
    moved_statistics,
    sampled_rows,
    stacked_statistics,
)


def test_merged_statistics_equal_those_of_all_rows() -> None:
    draw = np.random.default_rng(0)
    parts = [draw.normal(index, index + 1, (size, 3)) for index, size in enumerate((1, 40, 7))]
    running = RunningStatistics()
    for some in (parts[:1], parts[1:]):
        running.add(stacked_statistics([{"x": column_statistics(part)} for part in some]))
    found, rows = running.as_dict()["x"], np.concatenate(parts)
    assert found["mean"] == pytest.approx(rows.mean(0))
    assert found["std"] == pytest.approx(rows.std(0))
    assert found["min"] == pytest.approx(rows.min(0))
    assert found["count"] == [48]


def test_moved_statistics_are_those_of_moved_numbers() -> None:
    rows, offsets = np.arange(7), np.array([0, 5, 10**6])
    stacked = stacked_statistics([{"index": column_statistics(rows)}] * 3)["index"]
    expected = stacked_statistics([{"index": column_statistics(rows + offset)} for offset in offsets])["index"]
    for key, values in moved_statistics(stacked, offsets).items():
        np.testing.assert_allclose(values, expected[key], rtol=1e-12)


def test_image_statistics_equal_those_of_the_pixels() -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (4, 20, 30, 3), dtype=np.uint8))
    found, pixels = image_statistics(images), np.stack(images).reshape(-1, 3) / 255
    for name, expected in (("mean", pixels.mean(0)), ("std", pixels.std(0)), ("min", pixels.min(0))):
        assert found[name].reshape(3) == pytest.approx(expected)
    assert found["q90"].reshape(3) == pytest.approx(np.quantile(pixels, 0.9, axis=0), abs=1 / 255)
    assert found["count"] == [4]


def test_large_images_count_with_fewer_pixels() -> None:
    image = np.zeros((256, 256, 3), np.uint8)
    image[1::4] = 255  # rows that a stride of four never meets
    assert image_statistics([image])["max"].max() == 0


@pytest.mark.parametrize(("rows", "expected"), [(1, 1), (3, 3), (9, 4), (19, 4), (100, 10), (10**6, 1000)])
def test_samples_are_spread_over_all_rows(rows: int, expected: int) -> None:
    found = sampled_rows(rows)
    assert len(found) == expected
    assert (found[0], found[-1]) == (0, rows - 1)


def test_columns_together_have_the_statistics_of_each() -> None:
    rng = np.random.default_rng(0)
    columns = {"state": rng.standard_normal((30, 4)), "done": np.arange(30) == 29, "index": np.arange(30)}
    together = columns_statistics(columns)
    assert together.keys() == columns.keys()
    for name, values in columns.items():
        alone = column_statistics(values)
        assert together[name].keys() == alone.keys()
        for key, expected in alone.items():
            np.testing.assert_allclose(together[name][key], expected, rtol=1e-12, atol=1e-15)
