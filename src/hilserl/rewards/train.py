"""Training of a classifier from labelled images, with its report."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from hilserl.rewards.classifier import RewardClassifier
from hilserl.rewards.dataset import LabelledImages, split_by_episode
from hilserl.rewards.fit import fit, log_odds_of_success, logits_of, threshold_for
from hilserl.rewards.network import ClassifierConfig
from hilserl.rewards.report import ClassifierReport, report


class TrainedClassifier(NamedTuple):
    """Classifier with its figures on held-out images."""

    classifier: RewardClassifier
    report: ClassifierReport
    rows: np.ndarray
    """Rows of the held-out images, int [n]."""
    log_odds: np.ndarray
    """Log-odds of success of each held-out image, float [n]."""


def train_classifier(
    labels: LabelledImages,
    config: ClassifierConfig,
    seed: int,
    show: Callable[[int, float], object] = lambda updates, loss: None,  # noqa: ARG005
) -> TrainedClassifier:
    """Train a classifier on some episodes, and report on others.

    A third set of episodes decides the stop, the calibration and the threshold.

    Args:
        labels: the labelled images.
        config: settings of the classifier.
        seed: decides everything random.
        show: callback with the number of updates and the validation loss.

    Raises:
        HilserlError: a class is missing.
    """
    split = split_by_episode(labels, (config.validation, config.test), config.classes, seed)
    fitted = fit(labels, split, config, seed, show)
    validation = log_odds_of_success(logits_of(fitted.network, labels, split.validation))
    negative = labels.classes[split.validation] != config.classes - 1
    threshold = threshold_for(validation, ~negative, config.false_positive_rate)
    facts = {
        "data": _statistics(labels, split._asdict(), config.classes),
        "seed": seed,
        "updates": fitted.updates,
        "validation_loss": fitted.validation_loss,
        "false_positive_rate_asked": config.false_positive_rate,
        "false_positive_rate_resolved": 1 / int(negative.sum()),
    }
    classifier = RewardClassifier(fitted.network, config, labels.spec, threshold, facts)
    found, log_odds = evaluate(classifier, labels, split.test)
    facts["held_out"] = found.as_dict()
    return TrainedClassifier(classifier, found, split.test, log_odds)


def evaluate(
    classifier: RewardClassifier, labels: LabelledImages, rows: np.ndarray
) -> tuple[ClassifierReport, np.ndarray]:
    """Evaluate a classifier on some labelled images.

    Args:
        classifier: the classifier.
        labels: the labelled images.
        rows: rows to evaluate, int [n].

    Returns:
        The report, and the log-odds of success, float [n].
    """
    logits = logits_of(classifier.network, labels, rows)
    predicted = np.array([classifier.prediction(row).stage for row in logits])
    log_odds, episodes = log_odds_of_success(logits), len(np.unique(labels.episodes[rows]))
    return report(log_odds, predicted, labels.classes[rows], classifier.config.classes, episodes), log_odds


def _statistics(labels: LabelledImages, parts: dict[str, np.ndarray], classes: int) -> dict[str, Any]:
    return {
        name: {
            "episodes": len(np.unique(labels.episodes[rows])),
            "images_by_class": np.bincount(labels.classes[rows], minlength=classes).tolist(),
        }
        for name, rows in parts.items()
    }
