"""What an actor has still to send, on its own disk: entries go in as they happen and leave once the learner has them.

SQLite keeps it: an entry is there whole or not at all, whatever kills the process.
"""

import contextlib
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.distributed.protocol import batch_of, check_numbers, pack, unpack
from hilserl.errors import HilserlError

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS stream (id TEXT, run TEXT, acknowledged INTEGER);
    CREATE TABLE IF NOT EXISTS entries (number INTEGER PRIMARY KEY, episode INTEGER, payload BLOB);
"""
_BUSY_S = 10.0
_ROOMY = 0.9
_SPARE_BYTES = 100e6


class SpoolFullError(HilserlError):
    """There is no room for another entry."""


@dataclass(frozen=True)
class SpoolEntry:
    """Something to send, with its number in the stream, from 1."""

    number: int
    episode: int
    step: Step | None
    """None where the episode is to be forgotten."""


class Spool:
    """An ordered queue on disk. One thread puts; another one peeks and acknowledges.

    Args:
        folder: of the actor; the file in it is `spool.sqlite`.
        spec: of the steps.
        max_bytes: the most that may wait; the actor stops acting before it would lose a step.
    """

    def __init__(self, folder: Path, spec: ExperienceSpec, max_bytes: int) -> None:
        self.path, self._spec, self._max_bytes = folder / "spool.sqlite", spec, max_bytes
        with self._explained():
            self._putting, self._taking = self._connect(), self._connect()
            self._putting.executescript(_SCHEMA)
            (self._page_bytes,) = self._putting.execute("PRAGMA page_size").fetchone()
            self._putting.execute(f"PRAGMA max_page_count={max_bytes // self._page_bytes}")
            # Moving what was written into the database may wait for the disk; the thread that sends does it.
            self._putting.execute("PRAGMA wal_autocheckpoint=0")
            if self._putting.execute("SELECT count(*) FROM stream").fetchone() == (0,):
                with self._putting:
                    self._putting.execute("INSERT INTO stream VALUES (?, '', 0)", (secrets.token_hex(16),))
            self.stream, self.run, acknowledged = self._putting.execute("SELECT * FROM stream").fetchone()
            newest, episode = self._putting.execute("SELECT max(number), max(episode) FROM entries").fetchone()
        self.last = max(acknowledged, newest or 0)
        """Number of the newest entry there has been."""
        self.next_episode = 0 if episode is None else episode + 1
        self._acknowledged = acknowledged
        self._numbering = threading.Lock()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return connection

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
                raise SpoolFullError(f"There is no room for another step in {self.path}: {error}.") from error
            raise HilserlError(f"Cannot use the spool {self.path}: {error}.") from error

    def __len__(self) -> int:
        """How many entries wait."""
        return self.last - self._acknowledged

    @property
    def has_room(self) -> bool:
        """Whether there is enough room left for some episodes."""
        with self._explained():
            pages, free = (self._putting.execute(f"PRAGMA {n}").fetchone()[0] for n in ("page_count", "freelist_count"))
        used = (pages - free) * self._page_bytes
        return used <= _ROOMY * self._max_bytes and shutil.disk_usage(self.path.parent).free > _SPARE_BYTES

    def put_step(self, step: Step) -> None:
        """Raises RefusedError for a step that no learner would take, SpoolFullError when the disk, or what may be taken
        of it, is full.
        """
        batch = batch_of([step], self._spec)
        # Once it is here, a step that the learner refuses would be in the way of all that follow.
        check_numbers(batch)
        self._put(step.episode, pack(batch))

    def put_discard(self, episode: int) -> None:
        """The episode's steps, sent or not, are to be forgotten. Raises as `put_step`."""
        self._put(episode, None)

    def _put(self, episode: int, payload: bytes | None) -> None:
        with self._numbering, self._explained():
            with self._putting:
                self._putting.execute("INSERT INTO entries VALUES (?, ?, ?)", (self.last + 1, episode, payload))
            self.last += 1

    def peek(self, limit: int) -> list[SpoolEntry]:
        """The oldest entries."""
        with self._explained():
            rows = self._taking.execute("SELECT * FROM entries ORDER BY number LIMIT ?", (limit,)).fetchall()
        return [SpoolEntry(n, e, None if payload is None else self._read(n, payload)) for n, e, payload in rows]

    def _read(self, number: int, payload: bytes) -> Step:
        try:
            (step,) = unpack(payload, self._spec)
        except HilserlError as error:
            raise HilserlError(f"Entry {number} of the spool {self.path} cannot be read: {error}") from error
        return step

    def bind(self, run: str) -> None:
        """The stream belongs to a run from now on."""
        with self._explained(), self._taking:
            self._taking.execute("UPDATE stream SET run = ?", (run,))
        self.run = run

    def acknowledge(self, upto: int) -> int:
        """Entries up to a number have been stored elsewhere and go; how many those are."""
        count = upto - self._acknowledged
        if count <= 0:
            return 0
        with self._explained(), self._taking:
            self._taking.execute("DELETE FROM entries WHERE number <= ?", (upto,))
            self._taking.execute("UPDATE stream SET acknowledged = ?", (upto,))
        self._acknowledged = upto
        return count

    def tidy(self) -> None:
        """Moves what was written to its place, as acknowledging does now and then; for when nothing is acknowledged."""
        with self._explained():
            self._taking.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def skip_to(self, stored: int) -> None:
        """The learner has more than this disk remembers, as after a power cut here: numbers go on after that."""
        self.acknowledge(stored)
        with self._numbering:
            self.last = max(self.last, stored)

    def close(self) -> None:
        self._putting.close()
        self._taking.close()
