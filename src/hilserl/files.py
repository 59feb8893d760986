"""Atomic file writes."""

import os
from collections.abc import Callable
from pathlib import Path

from hilserl.errors import HilserlError


def atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is complete or unchanged, also after a crash.

    Args:
        path: the file; its directory is made if it is missing.
        write: function that writes the path of a temporary file beside `path`. The file is then synced to disk and
            renamed to `path`.

    Raises:
        HilserlError: the disk refuses; the file at `path` is unchanged.
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
