"""A directory that is complete or absent."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from hilserl.errors import HilserlError


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[Path]:
    """Yield a temporary directory that becomes `path` at the end.

    An exception, Ctrl-C included, removes it.

    Raises:
        HilserlError: `path` exists, or the disk refuses.
    """
    if path.exists():
        raise HilserlError(f"{path} exists already; name another directory with --out.")
    part = path.with_name(f".{path.name}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        part.rename(path)
    except OSError as error:
        raise HilserlError(f"Cannot write {path}: {error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
