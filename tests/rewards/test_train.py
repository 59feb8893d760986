"""A classifier of several classes tells a task's stages apart."""

from dataclasses import replace

import numpy as np

from hilserl.rewards.train import train_classifier
from tests.support.labels import SMALL, labels_of


def test_stages_are_told_apart() -> None:
    config = replace(SMALL, classes=3, max_updates=200)
    labels = labels_of()
    stages = (labels.steps - 1) // 4
    features = labels.inputs["front.features"].astype(np.float32) * 0.3
    features[:, :4] += 3 * (stages == 1)[:, None, None, None]
    features[:, 4:8] += 3 * (stages == 2)[:, None, None, None]
    labels = replace(labels, classes=stages, inputs={"front.features": features.astype(np.float16)})
    found = train_classifier(labels, config, 0)
    assert np.trace(found.report.confusion) > 0.9 * found.report.images
    assert [row.index(max(row)) for row in found.report.confusion] == [0, 1, 2]
