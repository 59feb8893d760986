"""Append-only log of steps on disk, for actors and learners.

An actor's log holds the steps that the learner has not acknowledged; a learner's log holds the steps that are not in an
episode file yet. SQLite keeps an entry whole or not at all, even if the process is killed. A stream's cursor changes in
the same transaction as its entries, so each entry is stored exactly once, even if it is sent again.
"""

import contextlib
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import astuple, replace
from itertools import groupby
from pathlib import Path

from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.protocol import EPISODES_PER_ACTOR, Cursor, LogEntry, ProtocolError, TransientError
from hilserl.errors import HilserlError

LOG_FORMAT = 2
"""Version of the file; 1 had other tables."""
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS log (id TEXT, run TEXT, acknowledged INTEGER);
    CREATE TABLE IF NOT EXISTS layouts (id INTEGER PRIMARY KEY, layout BLOB UNIQUE);
    CREATE TABLE IF NOT EXISTS streams (id TEXT PRIMARY KEY, number INTEGER UNIQUE, session INTEGER, stored INTEGER,
        episode INTEGER, position INTEGER, open INTEGER);
    CREATE TABLE IF NOT EXISTS entries (stream INTEGER, number INTEGER, episode INTEGER, layout INTEGER, payload BLOB,
        PRIMARY KEY (stream, number));
"""
_OWN = -1
"""Number of the own stream; other streams have their actor's number."""
_BUSY_S = 10.0
_ROOMY = 0.9
_SPARE_BYTES = 100e6
_JOURNAL_PAGES = 8_000
_SYNCED_PAGE_BYTES = 16_384
"""Page size of a synced log; faster with images than 4096."""


class LogError(HilserlError):
    """A log that cannot be read or written."""


class LogFullError(TransientError):
    """A log without room for another entry."""


class _LogFile:
    """A SQLite file with one connection to append and one to delete.

    Appending never waits while deletions reach the disk.
    """

    def __init__(self, path: Path, codecs: Sequence[StepCodec], max_bytes: int | None, *, synced: bool) -> None:
        self.path, self.codecs, self._max_bytes = path, tuple(codecs), max_bytes
        self.lock = threading.RLock()
        """Held by a caller that must see the changes in their order."""
        self._taking_lock = threading.Lock()
        with self._explained():
            self._putting, self._taking = (_connect(path, synced=synced) for _ in range(2))
            _create_tables(self._putting, path)
            (self._page_bytes,) = self._putting.execute("PRAGMA page_size").fetchone()
            if max_bytes is not None:
                self._putting.execute(f"PRAGMA max_page_count={max_bytes // self._page_bytes}")
            if synced:
                # Beyond these pages the appending thread empties the journal and waits for the disk. A learner's log
                # rarely gets there, since the thread that takes empties it at 1,000 pages, SQLite's default. An
                # actor's may wait for its learner for long.
                self._putting.execute(f"PRAGMA wal_autocheckpoint={_JOURNAL_PAGES}")
            self._layout_ids = _layout_ids(self._putting, path, self.codecs)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
                raise LogFullError(f"There is no room for another step in {self.path}: {error}.") from error
            raise LogError(f"Cannot use the log {self.path}: {error}.") from error

    @property
    def has_room(self) -> bool:
        """True if there is enough room left for some episodes."""
        with self._explained():
            pages, free = (self._putting.execute(f"PRAGMA {n}").fetchone()[0] for n in ("page_count", "freelist_count"))
        used = (pages - free) * self._page_bytes
        limited = self._max_bytes is not None and used > _ROOMY * self._max_bytes
        return not limited and shutil.disk_usage(self.path.parent).free > _SPARE_BYTES

    def _codec(self, layout_id: int) -> StepCodec:
        for codec in self.codecs:
            if self._layout_ids[codec.layout] == layout_id:
                return codec
        found = self._taking.execute("SELECT layout FROM layouts WHERE id = ?", (layout_id,)).fetchone()
        self.codecs[0].check_layout(found[0] if found else b"")
        raise LogError(f"The log {self.path} has no layout {layout_id!r}.")

    def tidy(self) -> None:
        """Move the journal into the database; deleting entries does it too."""
        with self._taking_lock, self._explained():
            self._taking.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close the file."""
        with self.lock, self._taking_lock:
            self._putting.close()
            self._taking.close()


class DurableLog(_LogFile):
    """A log of entries on disk.

    An actor's log has one stream, its own: one thread puts entries, another one peeks and acknowledges. A learner's
    log has a stream for each actor, with a cursor; any thread appends, and episodes are released once they are files.

    Args:
        path: SQLite file.
        codecs: Layouts of steps that the log may hold; `put_step` uses the first one.
        max_bytes: Largest size of the file; None for no limit.
        synced: True if each commit waits until the disk has it (a learner's log), which survives a power cut.

    Raises:
        LogFullError: The disk, or the share of it that the log may take, is full; nothing was stored.
        LogError: The file cannot be used.
    """

    def __init__(
        self, path: Path, codecs: Sequence[StepCodec], *, max_bytes: int | None = None, synced: bool = False
    ) -> None:
        super().__init__(path, codecs, max_bytes, synced=synced)
        with self._explained():
            self.id, self.run, self._acknowledged = self._putting.execute("SELECT * FROM log").fetchone()
            newest, episode = self._putting.execute(
                "SELECT max(number), max(episode) FROM entries WHERE stream = ?", (_OWN,)
            ).fetchone()
            streams = self._putting.execute("SELECT * FROM streams").fetchall()
        self.last: int = max(self._acknowledged, newest or 0)
        """Number of the newest entry of the own stream, acknowledged ones included."""
        self.next_episode: int = 0 if episode is None else episode + 1
        self.cursors = {stream: Cursor(*values, open=bool(is_open)) for stream, *values, is_open in streams}
        """Cursors of a learner's streams."""

    def __len__(self) -> int:
        """Count the entries that wait for an acknowledgement."""
        return self.last - self._acknowledged

    def put_step(self, step: Step) -> None:
        """Append a step to the own stream.

        Raises:
            HilserlError: No learner would take the step. Once stored, it would block all that follow.
            LogFullError: There is no room.
        """
        self._put(step.episode, self.codecs[0].encode(step))

    def put_discard(self, episode: int) -> None:
        """Append the wish that an episode's steps, sent or not, are forgotten. Raises as `put_step`."""
        self._put(episode, None)

    def _put(self, episode: int, payload: bytes | None) -> None:
        row = (episode, self._layout_ids[self.codecs[0].layout], payload)
        with self.lock, self._explained():
            with self._putting:
                self._putting.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", (_OWN, self.last + 1, *row))
            self.last += 1

    def peek(self, limit: int) -> list[LogEntry]:
        """Return the oldest entries of the own stream, as they were stored.

        Raises:
            LogError: An entry is damaged, or of another layout.
        """
        columns = "SELECT number, episode, layout, payload FROM entries WHERE stream = ? ORDER BY number LIMIT ?"
        with self._taking_lock, self._explained():
            rows = self._taking.execute(columns, (_OWN, limit)).fetchall()
        for number, _, layout, payload in rows:
            try:
                if payload is not None:
                    self._codec(layout).check(payload)
            except HilserlError as error:
                raise LogError(f"Entry {number} of the log {self.path} cannot be read: {error}") from error
        return [LogEntry(number, episode, payload) for number, episode, _, payload in rows]

    def bind(self, run: str) -> None:
        """Note the run that the own stream belongs to."""
        with self._taking_lock, self._explained(), self._taking:
            self._taking.execute("UPDATE log SET run = ?", (run,))
        self.run = run

    def acknowledge(self, upto: int) -> int:
        """Delete the entries up to a number that the learner has stored.

        Returns:
            Number of deleted entries.
        """
        count = upto - self._acknowledged
        if count <= 0:
            return 0
        with self._taking_lock, self._explained(), self._taking:
            self._taking.execute("DELETE FROM entries WHERE stream = ? AND number <= ?", (_OWN, upto))
            self._taking.execute("UPDATE log SET acknowledged = ?", (upto,))
        self._acknowledged = upto
        return count

    def skip_to(self, stored: int) -> None:
        """Go on after the learner's last entry.

        After a power cut here the learner may have more than this disk.
        """
        self.acknowledge(stored)
        with self.lock:
            self.last = max(self.last, stored)

    @contextlib.contextmanager
    def _transaction(self, stream: str, cursor: Cursor) -> Iterator[sqlite3.Connection]:
        """Commit what is done in it together with the stream's cursor."""
        with self._explained(), self._putting:
            yield self._putting
            values = (stream, *astuple(cursor))
            self._putting.execute("INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        self.cursors[stream] = cursor

    def open_session(self, stream: str) -> Cursor:
        """Begin a session of a known or an unknown stream."""
        with self.lock:
            cursor = self.cursors.get(stream) or Cursor(len(self.cursors))
            with self._transaction(stream, replace(cursor, session=cursor.session + 1)):
                pass
            return self.cursors[stream]

    def append(
        self, stream: str, session: int, entries: Sequence[LogEntry], steps: Sequence[Step], codec: StepCodec
    ) -> list[Step]:
        """Store entries that are not stored yet; wait for the disk.

        Args:
            stream: Identity of the stream.
            session: Current session of the stream.
            entries: Entries with consecutive numbers, one a step.
            steps: Steps in the entries.
            codec: Codec of the payloads.

        Returns:
            Steps that were not stored before.

        Raises:
            ProtocolError: There is a gap, the steps are out of order, or the session is over.
        """
        with self.lock:
            cursor = self._current(stream, session, entries[0].number)
            begin = cursor.stored + 1 - entries[0].number
            new = list(steps[begin:])
            if new:
                layout = self._layout_ids[codec.layout]
                rows = [(cursor.number, e.number, e.episode, layout, e.payload) for e in entries[begin:]]
                with self._transaction(stream, cursor.after(new)) as database:
                    database.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", rows)
            return new

    def discard(self, stream: str, session: int, number: int, episode: int) -> bool:
        """Remove the stream's open episode; return False if that was done before. Raises as `append`."""
        with self.lock:
            cursor = self._current(stream, session, number)
            if number <= cursor.stored:
                return False
            if not cursor.open or cursor.episode != episode:
                raise ProtocolError(f"Episode {episode} is to be discarded, but it is not in progress.")
            with self._transaction(stream, replace(cursor, stored=number, open=False)) as database:
                _delete_episode(database, episode)
            return True

    def _current(self, stream: str, session: int, first: int) -> Cursor:
        cursor = self.cursors.get(stream)
        if cursor is None:
            raise ProtocolError(f"The stream {stream} has not said hello.")
        if session != cursor.session:
            raise ProtocolError(
                f"Session {session} of stream {stream} is over: session {cursor.session} has begun. "
                "Does another actor use a copy of the same directory?"
            )
        if first > cursor.stored + 1:
            raise ProtocolError(f"Entry {first} came, but {cursor.stored + 1} was expected.")
        return cursor

    def pending(self) -> list[list[Step]]:
        """Return the stored episodes in the order of their numbers. Raises LogError if one is damaged."""
        select = "SELECT episode, layout, payload FROM entries WHERE stream <> ? ORDER BY episode, number"
        with self._taking_lock, self._explained():
            rows = self._taking.execute(select, (_OWN,)).fetchall()
        try:
            return [
                [step for layout, part in groupby(group, lambda row: row[1]) for step in self._decoded(layout, part)]
                for _, group in groupby(rows, lambda row: row[0])
            ]
        except HilserlError as error:
            raise LogError(f"The log {self.path} is damaged: {error}") from error

    def _decoded(self, layout: int, rows: Iterator[tuple[int, int, bytes]]) -> list[Step]:
        return self._codec(layout).decode([payload for _, _, payload in rows])

    def is_open(self, episode: int) -> bool:
        """Return True if more steps of an episode may come."""
        return any(cursor.open and cursor.episode == episode for cursor in self.cursors.values())

    def release(self, episode: int) -> None:
        """Delete an episode that has been archived."""
        with self._taking_lock, self._explained(), self._taking:
            _delete_episode(self._taking, episode)


def _connect(path: Path, *, synced: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False)
    if synced:
        connection.execute(f"PRAGMA page_size={_SYNCED_PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA synchronous={'FULL' if synced else 'NORMAL'}")
    return connection


def _create_tables(database: sqlite3.Connection, path: Path) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    if version != LOG_FORMAT:
        if database.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
            raise LogError(
                f"The log {path} has format {version or 1}, expected {LOG_FORMAT}: another version of hilserl made it. "
                "Finish its run with that version, or give a new --run-dir."
            )
        with database:
            database.executescript(f"{_SCHEMA} PRAGMA user_version={LOG_FORMAT};")
    if database.execute("SELECT count(*) FROM log").fetchone() == (0,):
        with database:
            database.execute("INSERT INTO log VALUES (?, '', 0)", (secrets.token_hex(16),))


def _layout_ids(database: sqlite3.Connection, path: Path, codecs: Sequence[StepCodec]) -> dict[bytes, int]:
    with database:
        for codec in codecs:
            database.execute("INSERT OR IGNORE INTO layouts (layout) VALUES (?)", (codec.layout,))
    found = dict(database.execute("SELECT layout, id FROM layouts").fetchall())
    if any(codec.layout not in found for codec in codecs):
        raise LogError(f"The log {path} is damaged: its layouts cannot be read.")
    return found


def _delete_episode(database: sqlite3.Connection, episode: int) -> None:
    stream = episode // EPISODES_PER_ACTOR
    database.execute("DELETE FROM entries WHERE stream = ? AND episode = ?", (stream, episode))
