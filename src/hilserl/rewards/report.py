"""Figures of a classifier on held-out episodes."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hilserl.data.episode_summary import wilson_interval

_LEAST_AUC = 0.75
_LEAST_RECALL = 0.2
_BINS = 10


@dataclass(frozen=True)
class ClassifierReport:
    """Figures of a classifier on labelled images.

    Rates count images; images of one episode are not independent.
    """

    images: int
    """Number of images."""
    episodes: int
    """Number of their episodes."""
    confusion: list[list[int]]
    """Images by true class (row) and predicted class (column).

    Success is predicted only above the threshold."""
    accuracy: float
    """Accuracy of success against all else, as are all the following figures."""
    accuracy_wilson_95: tuple[float, float]
    """95 % Wilson interval of the accuracy."""
    precision: float
    """True successes among predicted ones; 1 without predicted ones."""
    recall: float
    """Predicted successes among true ones."""
    false_positive_rate: float
    """Predicted successes among all else."""
    false_positive_wilson_95: tuple[float, float]
    """95 % Wilson interval of the false-positive rate."""
    auc: float
    """Area under the ROC curve.

    It is the probability that a success has higher log-odds than another image."""
    auc_error: float
    """Standard error of the area (Hanley and McNeil 1982)."""
    calibration_error: float
    """Mean distance of probability and frequency over the images, in ten bins."""

    def as_dict(self) -> dict[str, Any]:
        """Convert the figures to a dictionary for JSON."""
        return asdict(self)

    def refusal(self) -> str | None:
        """Return the reason to refuse the classifier, or None.

        A classifier is refused if it is little better than chance.
        """
        if self.auc - 2 * self.auc_error < _LEAST_AUC:
            return (
                f"its ROC area on held-out episodes is {self.auc:.3f} +- {2 * self.auc_error:.3f}; chance gives 0.5, "
                f"and at least {_LEAST_AUC} is required. Are the labels right, and does a camera show success?"
            )
        if self.recall < _LEAST_RECALL:
            return (
                f"at the false-positive rate asked for it finds {100 * self.recall:.0f} % of the successes; at least "
                f"{100 * _LEAST_RECALL:.0f} % are required. Label more, or allow a higher --false-positive-rate."
            )
        return None

    def __str__(self) -> str:
        low, high = (100 * bound for bound in self.accuracy_wilson_95)
        fp_low, fp_high = (100 * bound for bound in self.false_positive_wilson_95)
        rows = "\n".join(
            f"  class {number}: {' '.join(f'{n:7d}' for n in row)}" for number, row in enumerate(self.confusion)
        )
        return (
            f"{self.images} images of {self.episodes} held-out episodes:\n"
            f"  accuracy {100 * self.accuracy:.2f} % (95 % interval {low:.2f} to {high:.2f} %)\n"
            f"  precision {100 * self.precision:.2f} %, recall {100 * self.recall:.2f} %\n"
            f"  false positives {100 * self.false_positive_rate:.2f} % ({fp_low:.2f} to {fp_high:.2f} %)\n"
            f"  ROC area {self.auc:.5f}, calibration error {100 * self.calibration_error:.2f} %\n"
            f"confusion, true class by row, predicted class by column:\n{rows}"
        )


def report(
    log_odds: np.ndarray, predicted: np.ndarray, classes: np.ndarray, count: int, episodes: int
) -> ClassifierReport:
    """Compute the figures of some predictions.

    Args:
        log_odds: log-odds of success, float [n].
        predicted: predicted classes, int [n].
        classes: true classes, int [n].
        count: number of classes.
        episodes: number of the images' episodes.
    """
    confusion = np.zeros((count, count), int)
    np.add.at(confusion, (classes, predicted), 1)
    success, positive = classes == count - 1, predicted == count - 1
    hits, alarms = int((success & positive).sum()), int((~success & positive).sum())
    right = int((success == positive).sum())
    negatives, positives = int((~success).sum()), int(success.sum())
    area = roc_area(log_odds, success)
    return ClassifierReport(
        images=len(classes),
        episodes=episodes,
        confusion=confusion.tolist(),
        accuracy=right / len(classes),
        accuracy_wilson_95=wilson_interval(right, len(classes)),
        precision=hits / (hits + alarms) if hits + alarms else 1.0,
        recall=hits / positives,
        false_positive_rate=alarms / negatives,
        false_positive_wilson_95=wilson_interval(alarms, negatives),
        auc=area,
        auc_error=_area_error(area, positives, negatives),
        calibration_error=_calibration_error(log_odds, success),
    )


def roc(log_odds: np.ndarray, success: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the ROC curve, from (0, 0) to (1, 1).

    Args:
        log_odds: log-odds of success, float [n].
        success: true class, bool [n].

    Returns:
        False-positive and true-positive rates at every threshold, from the highest down.
    """
    order = np.argsort(-log_odds, kind="stable")
    # Images with equal log-odds pass a threshold together.
    last = np.append(np.diff(log_odds[order]) != 0, True)
    alarms, hits = (np.append(0, np.cumsum(rows[order])[last]) for rows in (~success, success))
    return alarms / max(1, alarms[-1]), hits / max(1, hits[-1])


def roc_area(log_odds: np.ndarray, success: np.ndarray) -> float:
    """Compute the area under the ROC curve."""
    alarms, hits = roc(log_odds, success)
    return float(np.trapezoid(hits, alarms))


def _area_error(area: float, positives: int, negatives: int) -> float:
    both_above, both_below = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (positives - 1) * (both_above - area**2) + (negatives - 1) * (both_below - area**2)
    return float(np.sqrt((area * (1 - area) + spread) / (positives * negatives)))


def reliability(log_odds: np.ndarray, success: np.ndarray) -> list[tuple[float, float, int]]:
    """Compute the reliability diagram.

    Returns:
        Mean probability, frequency of success and number of images for each bin of probability that has any.
    """
    probability = 1 / (1 + np.exp(-log_odds))
    bins = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    used = [bins == b for b in range(_BINS) if (bins == b).any()]
    return [(float(probability[rows].mean()), float(success[rows].mean()), int(rows.sum())) for rows in used]


def _calibration_error(log_odds: np.ndarray, success: np.ndarray) -> float:
    bins = reliability(log_odds, success)
    return float(np.average([abs(p - f) for p, f, _ in bins], weights=[n for _, _, n in bins]))
