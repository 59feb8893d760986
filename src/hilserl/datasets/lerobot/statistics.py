"""Statistics of a dataset's columns, in LeRobot's form."""

from collections.abc import Mapping, Sequence

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
Statistics = dict[str, np.ndarray]
"""Statistics of a column by name.

min, max, mean, std and the quantiles are float64 [n], and [3, 1, 1] of images; count is [1]."""
_MIN_SAMPLES, _MAX_SAMPLES = 4, 10_000
_TARGET_PX = 64


def columns_statistics(columns: Mapping[str, np.ndarray], lengths: Sequence[int]) -> dict[str, Statistics]:
    """Compute the statistics of each episode's columns, stacked to [episodes, ...].

    Args:
        columns: rows of all episodes, each [rows] or [rows, n].
        lengths: rows of each episode.
    """
    matrices = [np.asarray(values, np.float64).reshape(len(values), -1) for values in columns.values()]
    widths = [matrix.shape[1] for matrix in matrices]
    # Together, and one column a line, they are computed several times as fast as one by one.
    lines = np.concatenate(matrices, 1).T
    parts = np.split(lines, np.cumsum(lengths)[:-1], axis=1)
    joined = stacked_statistics([_line_statistics(part) for part in parts])
    count = np.array(lengths).reshape(-1, 1)
    return {
        name: {**{key: values[:, end - width : end] for key, values in joined.items()}, "count": count}
        for name, width, end in zip(columns, widths, np.cumsum(widths).tolist(), strict=True)
    }


def _line_statistics(lines: np.ndarray) -> Statistics:
    """Compute the statistics of each line of [lines, rows]."""
    rows = lines.shape[1]
    ordered = np.sort(lines, axis=1)
    places = np.array(list(QUANTILES.values())) * (rows - 1)
    below = places.astype(int)
    low, high, part = ordered[:, below], ordered[:, np.minimum(below + 1, rows - 1)], places - below
    quantiles = low + (high - low) * part
    mean = ordered.mean(1)
    std = np.sqrt(np.square(ordered - mean[:, None]).mean(1))
    found = {"min": ordered[:, 0], "max": ordered[:, -1], "mean": mean, "std": std}
    return {**found, **dict(zip(QUANTILES, quantiles.T, strict=True))}


def sampled_rows(rows: int) -> np.ndarray:
    """Return the rows whose images enter the statistics.

    Their number is the root of the rows', at least 4: to decode every image would take most of a conversion.
    """
    samples = min(rows, max(_MIN_SAMPLES, min(_MAX_SAMPLES, round(rows**0.5))))
    return np.round(np.linspace(0, rows - 1, samples)).astype(int)


def image_statistics(images: list[np.ndarray]) -> Statistics:
    """Compute the statistics of sampled images by channel, in 0 to 1.

    Args:
        images: each uint8 [height, width, 3]; a large one counts with every n-th pixel.
    """
    stride = max(1, max(images[0].shape[:2]) // _TARGET_PX)
    pixels = np.concatenate([image[::stride, ::stride].reshape(-1, 3) for image in images])
    # A histogram of 256 values is exact for bytes, and faster than sorting all pixels.
    counts = np.stack([np.bincount(pixels[:, channel], minlength=256) for channel in range(3)]).astype(np.float64)
    values, total = np.arange(256) / 255.0, len(pixels)
    mean = counts @ values / total
    found = {
        "min": np.array([values[np.flatnonzero(row)[0]] for row in counts]),
        "max": np.array([values[np.flatnonzero(row)[-1]] for row in counts]),
        "mean": mean,
        "std": np.sqrt(np.maximum(counts @ values**2 / total - mean**2, 0.0)),
    }
    cumulative = counts.cumsum(1)
    for name, quantile in QUANTILES.items():
        found[name] = np.array([values[np.searchsorted(row, quantile * (total - 1), "right")] for row in cumulative])
    shaped = {name: value.reshape(3, 1, 1) for name, value in found.items()}
    return {**shaped, "count": np.array([len(images)])}


def stacked_statistics(episodes: Sequence[Statistics]) -> Statistics:
    """Stack a column's statistics of episodes, each to [episodes, ...]."""
    return {key: np.stack([episode[key] for episode in episodes]) for key in episodes[0]}


def moved_statistics(found: Statistics, offsets: np.ndarray) -> Statistics:
    """Add an offset for each episode to a number's stacked statistics.

    Args:
        found: the statistics, each [episodes, 1].
        offsets: the offset of each episode, [episodes].
    """
    return {key: values + (0 if key in ("std", "count") else offsets[:, None]) for key, values in found.items()}


class RunningStatistics:
    """Statistics of a whole dataset, from those of its episodes.

    Means and deviations are exact. A quantile is the mean of the episodes' quantiles, weighted by their lengths, as in
    LeRobot 0.6.
    """

    def __init__(self) -> None:
        self._columns: dict[str, Statistics] = {}

    def add(self, episodes: Mapping[str, Statistics]) -> None:
        """Add stacked statistics of episodes."""
        for name, found in episodes.items():
            pooled, before = _pooled(found), self._columns.get(name)
            if before is not None:
                pooled = _pooled({key: np.stack([before[key], value]) for key, value in pooled.items()})
            self._columns[name] = pooled

    def as_dict(self) -> dict[str, dict[str, object]]:
        """Return the statistics for JSON."""
        return {
            name: {key: value.tolist() for key, value in found.items()} for name, found in sorted(self._columns.items())
        }


def _pooled(found: Statistics) -> Statistics:
    """Pool the stacked statistics of parts to those of all rows."""
    count, mean = found["count"], found["mean"]
    weights = (count / count.sum()).reshape(-1, *[1] * (mean.ndim - 1))
    joined = (weights * mean).sum(0)
    return {
        "min": found["min"].min(0),
        "max": found["max"].max(0),
        "mean": joined,
        "std": np.sqrt((weights * (found["std"] ** 2 + (mean - joined) ** 2)).sum(0)),
        "count": count.sum(0),
        **{name: (weights * found[name]).sum(0) for name in QUANTILES},
    }
