"""Atomic file writes."""

import os
from collections.abc import Callable
from pathlib import Path

from hilserl.errors import HilserlError


def atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Calls `write(part)` for a file beside `path`, syncs it to disk and renames it to `path`.

    Raises HilserlError when the disk refuses; what was at `path` before is still there then.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write(part)
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise HilserlError(f"Cannot write {path}: {error}") from error
