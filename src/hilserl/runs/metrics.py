"""Metrics of a run as lines of JSON and as TensorBoard events."""

import json
import threading
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from hilserl.errors import HilserlError

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

    Any thread may write.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = path.open("a")
        self._events = SummaryWriter(str(path.parent / "tensorboard"))

    def write(self, kind: str, env_steps: int, values: dict[str, Any], *, at: int | None = None) -> None:
        """Write one record.

        Args:
            kind: kind of the record; its numbers become TensorBoard scalars `kind/name`.
            env_steps: environment steps so far.
            values: named values of the record.
            at: step of the TensorBoard scalars, instead of `env_steps`.

        Raises:
            HilserlError: the disk refuses.
        """
        line = json.dumps({"kind": kind, "env_steps": env_steps, **values}) + "\n"
        with self._lock:
            try:
                self._file.write(line)
                self._file.flush()
            except OSError as error:
                raise HilserlError(f"Cannot write {self._file.name}: {error}") from error
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._events.add_scalar(f"{kind}/{name}", float(value), env_steps if at is None else at)

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        self._events.close()


def drop_torn_line(path: Path) -> None:
    """Remove an unfinished last line, which a killed run leaves."""
    if path.exists():
        text = path.read_bytes()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            path.write_bytes(text[:whole])


def read_metrics(path: Path, kind: str) -> list[dict[str, Any]]:
    """Read the records of one kind in order, under today's names.

    Raises:
        HilserlError: the file is missing or damaged.
    """
    try:
        with path.open() as file:
            records = [_renamed(json.loads(line)) for line in file]
    except (OSError, ValueError, AttributeError) as error:
        raise HilserlError(f"Cannot read the metrics {path}: {error}") from error
    return [record for record in records if record["kind"] == kind]


def _renamed(record: dict[str, Any]) -> dict[str, Any]:
    return {RENAMED_METRICS.get(name, name): value for name, value in record.items()}
