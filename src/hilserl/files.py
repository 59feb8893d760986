"""Files and directories that are whole or absent, also after a crash."""

import contextlib
import hashlib
import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hilserl.errors import HilserlError

LOCK = ".lock"
"""File that is locked while a process uses its directory."""
_SYNC_THREADS, _SYNC_GROUP = 8, 64
_PART, _OLD, _REMOVED = "part", "old", "removed"


def atomically(path: Path, write: Callable[[Path], object], *, replace: bool = True) -> None:
    """Write a file that is complete or unchanged, also after a crash.

    Args:
        path: the file; its directory is made if it is missing.
        write: function that writes the path of a temporary file beside `path`. The file is then synced to disk and
            renamed to `path`, and the directory is synced.
        replace: False to refuse a file that exists. The caller holds the lock of the directory.

    Raises:
        HilserlError: the disk refuses, or the file exists; the file at `path` is unchanged.
    """
    part = _beside(path, _PART)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not replace and path.exists():
            raise HilserlError(f"{path} exists already and is not replaced.")
        try:
            write(part)
            _sync_file(part)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        sync_directory(path.parent)
    except OSError as error:
        raise HilserlError(f"Cannot write {path}: {error}") from error


@contextlib.contextmanager
def new_directory(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """Yield an empty directory that becomes `path` at the end.

    An exception, Ctrl-C included, removes it, and the directory at `path` is unchanged. Everything in it is synced to
    disk before it gets its name, so that its files need not be synced one by one.

    Args:
        path: the directory.
        replace: True to replace a directory that exists; False to refuse it.

    Raises:
        HilserlError: the disk refuses, or the directory exists.
    """
    part, old = _beside(path, _PART), _beside(path, _OLD)
    if not replace and path.exists():
        raise HilserlError(f"{path} exists already and is not replaced; name another directory.")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            yield part
            _sync_below(part)
            if path.exists():
                shutil.rmtree(old, ignore_errors=True)
                path.rename(old)
            part.rename(path)
            sync_directory(path.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise HilserlError(f"Cannot write {path}: {error}") from error


def remove_directory(path: Path) -> None:
    """Remove a directory at once.

    A crash leaves it whole, or under a hidden name.

    Raises:
        HilserlError: the disk refuses.
    """
    try:
        removed = _beside(path, _REMOVED)
        shutil.rmtree(removed, ignore_errors=True)
        path.rename(removed)
        sync_directory(path.parent)
        shutil.rmtree(removed)
    except OSError as error:
        raise HilserlError(f"Cannot remove {path}: {error}") from error


def tidy(directory: Path) -> None:
    """Finish what a killed process left half done in a directory.

    Unfinished parts are removed. A directory that was about to be replaced comes back if the new one did not.

    Raises:
        HilserlError: the disk refuses.
    """
    try:
        for left in directory.glob(".*"):
            name, _, state = left.name.removeprefix(".").rpartition(".")
            if state == _OLD and name and not (directory / name).exists():
                left.rename(directory / name)
            elif state in (_PART, _OLD, _REMOVED) and name:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    except OSError as error:
        raise HilserlError(f"Cannot tidy {directory}: {error}") from error


def json_digest(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of values as JSON, in any order."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def sync_directory(directory: Path) -> None:
    """Wait until a directory's names are on disk, where the system can."""
    # Windows cannot open a directory.
    if os.name == "nt":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other processes from using a directory.

    It is made if it is missing. A killed process no longer holds the lock.

    Raises:
        HilserlError: another process uses the directory, or nothing can be written there.
    """
    lock = FileLock(directory / LOCK, blocking=False)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise HilserlError(
            f"Another process is using {directory}; stop it first, or name another directory."
        ) from error
    except OSError as error:
        raise HilserlError(f"Cannot write in {directory}: {error}") from error
    try:
        yield
    finally:
        lock.release()


def _sync_below(directory: Path) -> None:
    """Wait until a directory with everything in it is on disk."""
    # A file system joins what several threads wait for: ten thousand small files take a tenth of the time.
    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        for place, _, names in os.walk(directory):
            # A link is part of its directory, and may lead to a program that runs.
            files = [file for name in names if not (file := Path(place) / name).is_symlink()]
            groups = [files[start : start + _SYNC_GROUP] for start in range(0, len(files), _SYNC_GROUP)]
            deque(pool.map(_sync_files, groups), maxlen=0)
            sync_directory(Path(place))


def _sync_files(paths: Sequence[Path]) -> None:
    """Wait until files are on disk, one after the other."""
    for path in paths:
        _sync_file(path)


def _sync_file(path: Path) -> None:
    """Wait until a file is on disk."""
    # Windows syncs only what is open for writing; elsewhere a file may be read-only.
    with path.open("rb+" if os.name == "nt" else "rb") as file:
        os.fsync(file.fileno())


def _beside(path: Path, state: str) -> Path:
    return path.with_name(f".{path.name}.{state}")
