"""A report counts right, and refuses a classifier that knows nothing."""

import numpy as np
import pytest

from hilserl.rewards.report import report, roc_area
from hilserl.rewards.train import train_classifier
from tests.support.labels import SMALL, labels_of


@pytest.mark.parametrize("seed", range(3))
def test_report_refuses_chance_and_accepts_knowledge(seed: int) -> None:
    assert train_classifier(labels_of(seed), SMALL, seed).report.refusal() is None
    assert train_classifier(labels_of(seed, signal=0.0), SMALL, seed).report.refusal() is not None


def test_report_counts_like_a_hand_count() -> None:
    log_odds, classes = np.array([3.0, 1.0, -1.0, 2.0, -2.0]), np.array([1, 1, 1, 0, 0])
    found = report(log_odds, (log_odds > 0).astype(int), classes, 2, 1)
    assert found.confusion == [[1, 1], [1, 2]]
    assert (found.accuracy, found.recall, found.false_positive_rate) == (3 / 5, 2 / 3, 1 / 2)
    assert found.auc == pytest.approx(4 / 6)
    assert roc_area(np.zeros(5), classes == 1) == pytest.approx(0.5), "ties are worth half"
