"""Check of a run's files, and quarantine of bad episodes."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

from hilserl.data.episodes import episode_files, read_episode
from hilserl.data.fingerprint import fingerprint
from hilserl.errors import HilserlError
from hilserl.files import sync_directory
from hilserl.runs.checkpoint import check_checkpoint, steps_in
from hilserl.runs.metrics import check_metrics
from hilserl.runs.run_dir import RunDir

_EPISODES = ("episodes", "demonstrations", "mistakes")
_LOGS = ("incoming.sqlite", "spool.sqlite")


def troubles(run_dir: RunDir, show: Callable[[Path], object] = lambda path: None) -> Iterator[str]:  # noqa: ARG005
    """Read all files; yield a sentence for each damaged one.

    Args:
        run_dir: the run.
        show: called with each file before it is read.
    """
    for name in _EPISODES:
        if (run_dir.path / name).is_dir():
            yield from _of_episodes(run_dir.path / name, show)
    checks = [(run_dir.checkpoints / str(step), check_checkpoint) for step in steps_in(run_dir.checkpoints)]
    checks += [(run_dir.path / name, _check_log) for name in _LOGS]
    checks += [(run_dir.metrics, check_metrics), (run_dir.result, lambda _: run_dir.read_result())]
    for path, check in checks:
        if path.exists():
            show(path)
            yield from _said(check, path)


def _of_episodes(directory: Path, show: Callable[[Path], object]) -> Iterator[str]:
    known: dict[str, Path] = {}

    def check(path: Path) -> None:
        first = known.setdefault(fingerprint(read_episode(path)[0]), path)
        if first != path:
            raise HilserlError(f"{path} is the same episode as {first}.")

    for path in episode_files(directory):
        show(path)
        yield from _said(check, path)


def _said(check: Callable[[Path], object], path: Path) -> Iterator[str]:
    try:
        check(path)
    except HilserlError as error:
        yield str(error)


def _check_log(path: Path) -> None:
    try:
        # Read only: a check changes nothing.
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            (found,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        raise HilserlError(f"Cannot read the log {path}: {error}.") from error
    if found != "ok":
        raise HilserlError(f"The log {path} is damaged: {found}.")


def quarantine(run_dir: RunDir, episode: int) -> Path:
    """Set an episode of a run aside.

    Nothing learns from it when the run is resumed.

    Returns:
        The file's new place.

    Raises:
        HilserlError: the run has no such episode, or another process uses the run.
    """
    run_dir.require()
    with run_dir.locked():
        path = run_dir.episodes / f"{episode:06d}.parquet"
        if not path.exists():
            kept = [each.stem.lstrip("0") or "0" for each in sorted(run_dir.episodes.glob("*.parquet"))]
            exist = f"{kept[0]} to {kept[-1]}" if kept else "none"
            raise HilserlError(f"The run {run_dir.path} has no episode {episode}. Available: {exist}.")
        place, number = run_dir.quarantine / path.name, 1
        while place.exists():
            number += 1
            place = run_dir.quarantine / f"{path.stem}-{number}.parquet"
        try:
            run_dir.quarantine.mkdir(exist_ok=True)
            path.rename(place)
            for directory in (run_dir.quarantine, run_dir.episodes):
                sync_directory(directory)
        except OSError as error:
            raise HilserlError(f"Cannot move {path} to {place}: {error}") from error
    return place
