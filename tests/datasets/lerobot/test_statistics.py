"""Statistics of parts become those of the whole."""

import numpy as np
import pytest

from hilserl.datasets.lerobot.statistics import (
    QUANTILES,
    RunningStatistics,
    columns_statistics,
    image_statistics,
    moved_statistics,
    sampled_rows,
)


def test_merged_statistics_equal_those_of_all_rows() -> None:
    draw = np.random.default_rng(0)
    parts = [draw.normal(index, index + 1, (size, 3)) for index, size in enumerate((1, 40, 7))]
    running = RunningStatistics()
    for some in (parts[:1], parts[1:]):
        running.add(columns_statistics({"x": np.concatenate(some)}, [len(part) for part in some]))
    found, rows = running.as_dict()["x"], np.concatenate(parts)
    assert found["mean"] == pytest.approx(rows.mean(0))
    assert found["std"] == pytest.approx(rows.std(0))
    assert found["min"] == pytest.approx(rows.min(0))
    assert found["count"] == [48]


def test_moved_statistics_are_those_of_moved_numbers() -> None:
    rows, offsets = np.arange(7), np.array([0, 5, 10**6])
    stacked = columns_statistics({"index": np.tile(rows, 3)}, [7] * 3)["index"]
    expected = columns_statistics({"index": np.concatenate([rows + o for o in offsets])}, [7] * 3)["index"]
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


def test_columns_have_the_statistics_of_each_episode() -> None:
    rng, lengths = np.random.default_rng(0), [17, 1, 12]
    columns = {"state": rng.standard_normal((30, 4)), "done": np.arange(30) == 29, "index": np.arange(30)}
    found = columns_statistics(columns, lengths)
    assert found.keys() == columns.keys()
    for name, values in columns.items():
        parts = np.split(values.reshape(30, -1).astype(float), np.cumsum(lengths)[:-1])
        expected = {key: [np.quantile(part, q, axis=0) for part in parts] for key, q in QUANTILES.items()}
        expected |= {"min": [p.min(0) for p in parts], "max": [p.max(0) for p in parts]}
        expected |= {"mean": [p.mean(0) for p in parts], "std": [p.std(0) for p in parts]}
        expected["count"] = [np.array([length]) for length in lengths]
        assert found[name].keys() == expected.keys()
        for key, value in expected.items():
            np.testing.assert_allclose(found[name][key], value, rtol=1e-12, atol=1e-15)
