"""Metrics are read under today's names, from whole lines only, and TensorBoard shows the same."""

import logging
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

from hilserl.errors import HilserlError
from hilserl.runs import metrics
from hilserl.runs.metrics import RENAMED_METRICS, MetricsLog, drop_torn_line, read_metrics


def scalars(directory: Path) -> list[tuple[str, int, float]]:
    """Read all scalars of TensorBoard's event files: name, step and value."""
    found = []
    for path in sorted(directory.glob("events*"), key=lambda each: each.suffix, reverse=True):
        data = path.read_bytes()
        while data:
            size = int.from_bytes(data[:8], "little")
            event, data = Event.FromString(data[12 : 12 + size]), data[16 + size :]
            found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
    return sorted(found)


def test_records_are_read_by_kind(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl")
    log.write("evaluation", 10, {"update_steps": 4})
    log.write("learner", 10, {"update_steps": 5})
    log.close()
    expected = {"kind": "learner", "env_steps": 10, "update_steps": 5}
    assert read_metrics(tmp_path / "metrics.jsonl", "learner") == [expected]


def test_tensorboard_has_every_record_at_once(tmp_path: Path) -> None:
    """A kill after `write` loses nothing, so nothing may wait in memory."""
    log = MetricsLog(tmp_path / "metrics.jsonl", "update_steps")
    log.write("evaluation", 10, {"update_steps": 4, "successes": 3, "curve": [1, 2]})
    assert scalars(tmp_path / "tensorboard") == [("evaluation/successes", 4, 3.0), ("evaluation/update_steps", 4, 4.0)]
    log.close()


def test_tensorboard_is_made_again_from_the_records(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    for step in (10, 20):
        log.write("episode", step, {"success": True, "wall_seconds": float(step)})
    log.close()
    before = scalars(tmp_path / "tensorboard")
    for damage in (lambda file: file.unlink(), lambda file: file.write_bytes(file.read_bytes()[:40])):
        for file in (tmp_path / "tensorboard").glob("events*"):
            damage(file)
        log = MetricsLog(path)
        assert scalars(tmp_path / "tensorboard") == before
        log.close()


def test_full_disk_drops_tensorboard_and_keeps_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(metrics, "_write_events", full)
        log.write("a", 1, {"x": 1})
        log.write("a", 2, {"x": 2})
    assert len(caplog.records) == 1
    log.write("a", 3, {"x": 3})
    log.close()
    assert [record["x"] for record in read_metrics(path, "a")] == [1, 2, 3]
    MetricsLog(path).close()
    assert [value for *_, value in scalars(tmp_path / "tensorboard")] == [1.0, 2.0, 3.0]


def test_record_without_room_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path)
    log.write("a", 1, {"x": 1})
    real = log._file

    class NearlyFull:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def write(self, data: bytes) -> int:
            return real.write(data[:5])

    monkeypatch.setattr(log, "_file", NearlyFull())
    with pytest.raises(HilserlError, match="No space left"):
        log.write("a", 2, {"x": 2})
    monkeypatch.undo()
    log.write("a", 3, {"x": 3})
    log.close()
    assert [record["x"] for record in read_metrics(path, "a")] == [1, 3]


@pytest.mark.parametrize(("old", "new"), RENAMED_METRICS.items())
def test_old_names_are_read_under_todays(tmp_path: Path, old: str, new: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(f'{{"kind": "learner", "env_steps": 1, "{old}": 3}}\n')
    (record,) = read_metrics(tmp_path / "metrics.jsonl", "learner")
    assert record[new] == 3
    assert old not in record


def test_torn_line_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "a", "env_steps": 1}\n{"kind": "a", "env')
    with pytest.raises(HilserlError, match=r"metrics\.jsonl: line 2"):
        read_metrics(path, "a")
    drop_torn_line(path)
    assert len(read_metrics(path, "a")) == 1


@pytest.mark.parametrize("line", ["[]", "{}", '{"kind": 3, "env_steps": 1}', '{"kind": "a", "env_steps": "1"}', "\x00"])
def test_damaged_records_are_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "metrics.jsonl").write_text(f'{{"kind": "a", "env_steps": 1}}\n{line}\n')
    with pytest.raises(HilserlError, match="line 2 is no record"):
        read_metrics(tmp_path / "metrics.jsonl", "a")
