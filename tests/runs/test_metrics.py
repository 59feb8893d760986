"""Metrics are read under today's names, from whole lines only."""

from pathlib import Path

import pytest

from hilserl.errors import HilserlError
from hilserl.runs.metrics import RENAMED_METRICS, MetricsLog, drop_torn_line, read_metrics


def test_records_are_read_by_kind(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.write("evaluation", 10, {"update_steps": 4})
    log.write("learner", 10, {"update_steps": 5})
    log.close()
    expected = {"kind": "learner", "env_steps": 10, "update_steps": 5}
    assert read_metrics(tmp_path / "metrics.jsonl", "learner") == [expected]
    assert list((tmp_path / "tensorboard").glob("events*"))


@pytest.mark.parametrize(("old", "new"), RENAMED_METRICS.items())
def test_old_names_are_read_under_todays(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(f'{{"kind": "learner", "env_steps": 1, "{old}": 3}}\n')
    (record,) = read_metrics(tmp_path / "metrics.jsonl", "learner")
    assert record[new] == 3
    assert old not in record


def test_torn_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "a", "env_steps": 1}\n{"kind": "a", "env')
    with pytest.raises(HilserlError, match=r"metrics\.jsonl"):
        read_metrics(path, "a")
    drop_torn_line(path)
    assert len(read_metrics(path, "a")) == 1
