"""Metrics of a run as lines of JSON and as TensorBoard events."""

import contextlib
import errno
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboardX.summary import scalar

from hilserl.errors import HilserlError
from hilserl.files import new_directory

_log = logging.getLogger(__name__)

RENAMED_METRICS = {
    "rounds": "update_steps",
    "staleness_rounds": "staleness_update_steps",
    "motion_error": "continuous_error",
    "motion_loss": "continuous_loss",
    "held_out_motion_error": "held_out_continuous_error",
    "held_out_motion_loss": "held_out_continuous_loss",
}
"""Names of metrics in earlier versions, with their names today."""


class MetricsLog:
    """Writer of `metrics.jsonl` and of TensorBoard's event files beside it.

    Both have a record before `write` returns, so a kill loses none. Event files that a killed or disturbed run left
    behind are made again from `metrics.jsonl`. Any thread may write.

    Args:
        path: the file `metrics.jsonl`; writing goes on after its records.
        clock: name of the number by which TensorBoard orders records; for records without it, `env_steps`.

    Raises:
        HilserlError: the file is damaged, or the disk refuses.
    """

    def __init__(self, path: Path, clock: str = "env_steps") -> None:
        self._lock = threading.Lock()
        self._path, self._clock = path, clock
        self._events = self._rebuild()
        try:
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise HilserlError(f"Cannot write {path}: {error}") from error

    def write(self, kind: str, env_steps: int, values: dict[str, Any]) -> None:
        """Write one record.

        Args:
            kind: kind of the record; its numbers become TensorBoard scalars `kind/name`.
            env_steps: environment steps so far.
            values: named values of the record.

        Raises:
            HilserlError: the disk refuses; the file ends with a whole record.
        """
        record = {"kind": kind, "env_steps": env_steps, **values}
        line = (json.dumps(record) + "\n").encode()
        with self._lock:
            self._append(line)
            self._show(record)

    def _append(self, line: bytes) -> None:
        whole = self._file.tell()
        try:
            written = self._file.write(line)
            if written != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            self._file.truncate(whole)
            raise HilserlError(f"Cannot write {self._path}: {error}") from error

    def _show(self, record: dict[str, Any]) -> None:
        """Write a record's numbers as events, while the disk takes them."""
        if self._events is None:
            return
        try:
            _write_events(self._events, record, self._clock, time.time())
            self._events.flush()
        except OSError as error:
            self._close_events()
            _log.warning("TensorBoard's files are given up until the run is resumed: %s", error)

    def _rebuild(self) -> EventsWriter | None:
        """Make the event files from the records; None if the disk refuses."""
        records = _records(self._path) if self._path.exists() else []
        directory, now = self._path.parent / "tensorboard", time.time()
        last_s = max(map(_seconds, records), default=0.0)
        try:
            with new_directory(directory, replace=True) as part:
                past = EventsWriter(str(part / "events"), ".past")
                for record in records:
                    _write_events(past, record, self._clock, now - last_s + _seconds(record))
                past.close()
            return EventsWriter(str(directory / "events"), ".new")
        except (HilserlError, OSError) as error:
            _log.warning("There are no TensorBoard files: %s", error)
            return None

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._close_events()

    def _close_events(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            with contextlib.suppress(OSError):  # every record was flushed
                events.close()


def _write_events(writer: EventsWriter, record: dict[str, Any], clock: str, at_s: float) -> None:
    step = int(record.get(clock, record["env_steps"]))
    for name, value in record.items():
        if name != "env_steps" and isinstance(value, int | float):
            summary = scalar(f"{record['kind']}/{name}", float(value))
            writer.write_event(Event(wall_time=at_s, step=step, summary=summary))


def _seconds(record: dict[str, Any]) -> float:
    return float(record.get("wall_seconds", 0.0))


def drop_torn_line(path: Path) -> None:
    """Remove an unfinished last line, which a killed run leaves.

    Raises:
        HilserlError: the disk refuses.
    """
    if not path.exists():
        return
    try:
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            os.truncate(path, whole)
    except OSError as error:
        raise HilserlError(f"Cannot mend {path}: {error}") from error


def check_metrics(path: Path) -> None:
    """Check that every line is a record. Raises HilserlError for the first one that is not."""
    _records(path)


def read_metrics(path: Path, kind: str) -> list[dict[str, Any]]:
    """Read the records of one kind in order, under today's names.

    Raises:
        HilserlError: the file is missing or damaged.
    """
    return [record for record in _records(path) if record["kind"] == kind]


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise HilserlError(f"Cannot read the metrics {path}: {error}") from error
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = _renamed(json.loads(line))
            if not isinstance(record["kind"], str) or not isinstance(record["env_steps"], int):
                raise HilserlError(f"kind {record['kind']!r} and env_steps {record['env_steps']!r}")
        except (ValueError, AttributeError, KeyError, HilserlError) as error:
            raise HilserlError(f"Cannot read the metrics {path}: line {number} is no record: {error}") from error
        records.append(record)
    return records


def _renamed(record: dict[str, Any]) -> dict[str, Any]:
    return {RENAMED_METRICS.get(name, name): value for name, value in record.items()}
