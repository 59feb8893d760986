"""A fit repeats with its seed, keeps its false-positive rate and calibrates."""

import numpy as np
import pytest

from hilserl.data.arrays import named_arrays
from hilserl.rewards.fit import calibration, threshold_for
from hilserl.rewards.train import train_classifier
from tests.support.labels import SMALL, labels_of


def test_seed_decides_the_classifier() -> None:
    first, second, other = (train_classifier(labels_of(), SMALL, seed).classifier for seed in (3, 3, 4))
    arrays = [named_arrays(classifier.network) for classifier in (first, second, other)]
    assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
    assert (first.log_odds, first.report) == (second.log_odds, second.report)
    assert any(not np.array_equal(arrays[0][name], arrays[2][name]) for name in arrays[0])


@pytest.mark.parametrize("rate", [0.0, 0.0004, 0.001, 0.01, 0.2])
def test_threshold_keeps_its_rate_and_wastes_none(rate: float) -> None:
    rng = np.random.default_rng(5)
    success = rng.random(3000) < 0.3
    log_odds = rng.standard_normal(3000) + 2 * success
    threshold = threshold_for(log_odds, success, rate)
    allowed = int(rate * (~success).sum())
    passed = np.sort(log_odds[~success])[::-1][allowed]
    assert (log_odds[~success] > threshold).sum() <= allowed
    assert threshold == 0.0 or not (success & (log_odds > passed) & (log_odds <= threshold)).sum() > 1
    assert (log_odds[success] > threshold).any()


def test_calibration_corrects_overconfidence() -> None:
    rng = np.random.default_rng(0)
    true = rng.standard_normal(4000) * 2
    classes = (rng.random(4000) < 1 / (1 + np.exp(-true))).astype(int)
    scale, bias = calibration(np.stack([np.zeros(4000), 5 * true + 3], 1).astype(np.float32), classes)
    assert float(scale) == pytest.approx(0.2, rel=0.15)
    assert float(bias[0]) == pytest.approx(-0.6, abs=0.2)
