"""Preparation of recorded episodes for LeRobot in several processes."""

import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread

from hilserl.data.episodes import read_stored_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.stored_episode import StoredEpisode
from hilserl.datasets.lerobot.prepared import EpisodePreparer, PreparedEpisodes
from hilserl.errors import HilserlError
from hilserl.machine import cores

BATCH_BYTES, BATCH_EPISODES = 4_000_000, 64
_AHEAD = 2
"""Batches that a process may be ahead of the writer."""
MIN_BATCHES_PER_WORKER = 4
"""Batches below which another process would not repay its start."""
_MAX_WORKERS = 8


def read_recorded(files: Sequence[Path], spec: ExperienceSpec, first: Path) -> Iterator[StoredEpisode]:
    """Read episodes of one layout, images as they are stored.

    Args:
        files: the episodes' files.
        spec: the layout.
        first: the file whose layout it is.

    Raises:
        HilserlError: an episode is damaged, or of another layout.
    """
    for file in files:
        episode = read_stored_episode(file)
        if episode.spec != spec:
            raise HilserlError(f"{file} has another layout than {first}; convert them one by one.")
        yield episode


def prepared_files(
    files: Sequence[Path], preparer: EpisodePreparer, max_workers: int = _MAX_WORKERS
) -> Iterator[PreparedEpisodes]:
    """Prepare recorded episodes in several processes, in order.

    There are as many processes as cores.

    Memory holds a few batches for each process.

    Args:
        files: the episodes' files.
        preparer: layout of the episodes and form of the dataset.
        max_workers: most processes.

    Raises:
        HilserlError: an episode is damaged or of another layout, or a process was killed.
    """
    batches = list(_batches(files))
    workers = min(cores(), max_workers, len(batches) // MIN_BATCHES_PER_WORKER)
    if workers < 2:
        yield from (_prepare(batch, preparer, files[0]) for batch in batches)
        return
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _begin_worker)
    pending: deque[Future[PreparedEpisodes]] = deque()
    try:
        for batch in batches:
            pending.append(pool.submit(_prepare, batch, preparer, files[0]))
            if len(pending) > _AHEAD * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise HilserlError("A process that prepares episodes was killed; there may be too little memory.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(files: Sequence[Path]) -> Iterator[list[Path]]:
    """Group files to batches of a few megabytes."""
    batch: list[Path] = []
    size = 0
    for file in files:
        batch.append(file)
        size += file.stat().st_size
        if size >= BATCH_BYTES or len(batch) == BATCH_EPISODES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _prepare(files: Sequence[Path], preparer: EpisodePreparer, first: Path) -> PreparedEpisodes:
    return preparer.prepare(list(read_recorded(files, preparer.spec, first)))


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, and end when it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    assert parent

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    Thread(target=end_with_parent, daemon=True).start()
