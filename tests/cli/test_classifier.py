"""The verb `classifier` trains, reports and keeps a classifier, or refuses it."""

import json
from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.rewards.classifier import RewardClassifier
from tests.support.labels import FLAGS, drawn, late, write_labels


def test_classifier_verb_trains_reports_and_saves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_labels(tmp_path / "data", late), tmp_path / "c.safetensors"
    assert main(["classifier", "pick_cube", "--data", str(data), "--out", str(out), *FLAGS]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("accuracy", "precision", "recall", "ROC area", "confusion", "threshold"))
    figures = json.loads((tmp_path / "c.json").read_text())
    assert figures["held_out"]["auc"] > 0.95
    assert RewardClassifier.load(out).report == figures
    for image in ("c.report.png", "c.mistakes.png"):
        assert (tmp_path / image).read_bytes().startswith(b"\x89PNG")


def test_shuffled_labels_are_refused_and_nothing_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write_labels(tmp_path / "data", drawn, told=late), tmp_path / "c.safetensors"
    assert main(["classifier", "pick_cube", "--data", str(data), "--out", str(out), *FLAGS]) == 1
    assert "refused" in capsys.readouterr().err
    assert not out.exists()
