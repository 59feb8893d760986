"""Figures of a classifier's report: ROC curve, calibration, worst mistakes."""

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from hilserl.files import atomically
from hilserl.rewards.dataset import LabelledImages
from hilserl.rewards.report import reliability, roc

_GREEN, _RED, _GREY = "#2a7f4f", "#c0392b", "#8a8a8a"
_WORST = 6


def plot_report(target: Path, log_odds: np.ndarray, success: np.ndarray, threshold: float, title: str) -> None:
    """Draw ROC curve, calibration and log-odds of the held-out images.

    Args:
        target: the PNG file.
        log_odds: log-odds of success, float [n].
        success: true class, bool [n].
        threshold: least log-odds of a predicted success.
        title: heading of the figure.
    """
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), constrained_layout=True)
    _draw_roc(axes[0], log_odds, success, threshold)
    _draw_calibration(axes[1], log_odds, success)
    bins = np.linspace(log_odds.min(), log_odds.max() + 1e-6, 50).tolist()
    axes[2].hist(log_odds[~success], bins, color=_RED, alpha=0.6, label="everything else", log=True)
    axes[2].hist(log_odds[success], bins, color=_GREEN, alpha=0.6, label="success", log=True)
    axes[2].axvline(threshold, color="black", lw=1, ls="--", label="threshold")
    axes[2].set(xlabel="log-odds of success", ylabel="images")
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False)
    figure.suptitle(title)
    atomically(target, lambda part: figure.savefig(part, format="png", dpi=120))
    plt.close(figure)


def _draw_roc(axes: Axes, log_odds: np.ndarray, success: np.ndarray, threshold: float) -> None:
    alarms, hits = roc(log_odds, success)
    least = 0.5 / max(1, int((~success).sum()))
    axes.step(np.maximum(alarms, least), hits, where="post", color=_GREEN, label="held-out images")
    here = max(least, float((log_odds[~success] > threshold).mean()))
    axes.plot(here, (log_odds[success] > threshold).mean(), "o", color="black", label="threshold")
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate", xscale="log", ylim=(-0.02, 1.02))


def _draw_calibration(axes: Axes, log_odds: np.ndarray, success: np.ndarray) -> None:
    probability, frequency, count = np.array(reliability(log_odds, success)).T
    axes.plot([0, 1], [0, 1], color=_GREY, lw=1, label="calibrated")
    axes.plot(probability, frequency, "o-", color=_GREEN, label="held-out images")
    for x, y, n in zip(probability, frequency, count, strict=True):
        axes.annotate(str(int(n)), (x, y), textcoords="offset points", xytext=(4, -10), fontsize=7, color=_GREY)
    axes.set(xlabel="probability of success", ylabel="frequency of success")


def plot_mistakes(
    target: Path, labels: LabelledImages, rows: np.ndarray, log_odds: np.ndarray, threshold: float
) -> int:
    """Draw the images of the worst mistakes.

    False positives are above, missed successes below. If there are few mistakes, the nearest to one fill the places.

    Args:
        target: the PNG file.
        labels: the labelled images.
        rows: held-out rows of the labels, int [n].
        log_odds: their log-odds of success, float [n].
        threshold: least log-odds of a predicted success.

    Returns:
        The number of mistakes among the drawn images.
    """
    success = labels.classes[rows] == labels.classes.max()
    beyond = log_odds - threshold
    worst = [np.flatnonzero(~success)[np.argsort(-beyond[~success])], np.flatnonzero(success)]
    worst[1] = worst[1][np.argsort(beyond[success])]
    cameras = labels.frame_encoder.cameras
    figure, axes = plt.subplots(
        2 * len(cameras), _WORST, figsize=(2 * _WORST, 4.4 * len(cameras)), constrained_layout=True, squeeze=False
    )
    for axis in axes.flat:
        axis.set_axis_off()
    mistakes = 0
    for kind, numbers in enumerate(worst):
        for column, number in enumerate(numbers[:_WORST]):
            wrong = (beyond[number] > 0) != success[number]
            mistakes += int(wrong)
            images = labels.images(int(rows[number]))
            for camera, name in enumerate(cameras):
                axes[kind * len(cameras) + camera, column].imshow(images[name])
            path, step = labels.files[labels.episodes[rows[number]]], labels.steps[rows[number]]
            axes[kind * len(cameras), column].set_title(
                f"{('called success', 'missed')[kind] if wrong else 'right, narrowly'}\n"
                f"{path.stem} step {step}: {log_odds[number]:+.1f}",
                fontsize=8,
                color=_RED if wrong else _GREEN,
            )
    figure.suptitle(f"Top: no success. Bottom: success. Log-odds; the threshold is {threshold:+.1f}", fontsize=10)
    atomically(target, lambda part: figure.savefig(part, format="png", dpi=100))
    plt.close(figure)
    return mistakes
