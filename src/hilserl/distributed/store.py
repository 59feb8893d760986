"""What a learner has taken from its actors and not yet written as episodes: on disk before it is acknowledged.

SQLite keeps it, synced at every commit. How far each stream has come changes in the same transaction as its steps, so
that every step is in the store exactly once, whatever is sent again and whatever is killed.
"""

import contextlib
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.distributed.protocol import EPISODES_PER_ACTOR, ProtocolError, UnreachableError, by_episode, pack, unpack
from hilserl.errors import HilserlError

_SCHEMA = """
    CREATE TABLE IF NOT EXISTS run (id TEXT);
    CREATE TABLE IF NOT EXISTS streams (id TEXT PRIMARY KEY, number INTEGER UNIQUE, session INTEGER, stored INTEGER,
        episode INTEGER, position INTEGER, open INTEGER);
    CREATE TABLE IF NOT EXISTS steps (first INTEGER, episode INTEGER, payload BLOB, PRIMARY KEY (episode, first));
"""
MAX_EPISODE_STEPS = 100_000


@dataclass(frozen=True)
class Cursor:
    """How far a stream has come."""

    number: int
    """Of the actor."""
    session: int = 0
    stored: int = 0
    """Number of the last entry that is stored."""
    episode: int = -1
    """The newest episode; -1 before the first."""
    position: int = -1
    """Index of its newest step."""
    open: bool = False
    """More steps of it may come."""

    @property
    def next_episode(self) -> int:
        return max(self.episode + 1, self.number * EPISODES_PER_ACTOR)

    def after(self, steps: Sequence[Step]) -> "Cursor":
        """Where the stream is after these steps. Raises RefusedError where they do not follow on what was stored."""
        cursor = self
        for step in steps:
            in_order = cursor.open and (step.episode, step.index) == (cursor.episode, cursor.position + 1)
            begins = step.is_reset and cursor.next_episode <= step.episode < (self.number + 1) * EPISODES_PER_ACTOR
            if not (in_order or begins) or step.index > MAX_EPISODE_STEPS:
                raise ProtocolError(
                    f"Step {step.index} of episode {step.episode} came after step {cursor.position} of episode "
                    f"{cursor.episode}{'' if cursor.open else ', which has ended'}."
                )
            cursor = replace(cursor, episode=step.episode, position=step.index, open=not step.ends_episode)
        return replace(cursor, stored=self.stored + len(steps))


class Store:
    """Streams of steps, in order and without repetition; any thread may use it.

    Raises UnreachableError where the disk refuses: nothing is acknowledged then, and it may be tried again.
    """

    def __init__(self, path: Path, spec: ExperienceSpec) -> None:
        self.path, self._spec = path, spec
        self.lock = threading.RLock()
        """Whoever must see the store's changes in their order holds it."""
        with self._explained():
            self._db = sqlite3.connect(path, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            if self._db.execute("SELECT count(*) FROM run").fetchone() == (0,):
                with self._db:
                    self._db.execute("INSERT INTO run VALUES (?)", (secrets.token_hex(16),))
            (self.run,) = self._db.execute("SELECT id FROM run").fetchone()
            rows = self._db.execute("SELECT * FROM streams").fetchall()
        self.cursors = {
            stream: Cursor(number, session, stored, episode, position, bool(is_open))
            for stream, number, session, stored, episode, position, is_open in rows
        }
        """By stream."""

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UnreachableError(f"The learner cannot write {self.path} now: {error}.") from error

    @contextlib.contextmanager
    def _transaction(self, stream: str, cursor: Cursor) -> Iterator[sqlite3.Connection]:
        """Commits what is done in it together with the stream's new cursor."""
        with self._explained(), self._db:
            yield self._db
            values = (cursor.number, cursor.session, cursor.stored, cursor.episode, cursor.position, cursor.open)
            self._db.execute("INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?, ?, ?)", (stream, *values))
        self.cursors[stream] = cursor

    def open_session(self, stream: str) -> Cursor:
        """A new session of a stream, which may itself be new."""
        with self.lock:
            cursor = self.cursors.get(stream) or Cursor(len(self.cursors))
            with self._transaction(stream, replace(cursor, session=cursor.session + 1)):
                pass
            return self.cursors[stream]

    def append(self, stream: str, session: int, first: int, steps: Sequence[Step], batch: pa.RecordBatch) -> list[Step]:
        """Stores those steps of a batch that are new; they are durably stored when it returns them.

        Raises RefusedError for a gap, for steps out of order and for an earlier session's.
        """
        with self.lock:
            cursor = self._current(stream, session, first)
            begin = cursor.stored + 1 - first
            new = list(steps[begin:])
            if new:
                after, parts = cursor.after(new), []
                for part in by_episode(new):
                    parts.append((part[0].index, part[0].episode, pack(batch.slice(begin, len(part)))))
                    begin += len(part)
                with self._transaction(stream, after) as db:
                    db.executemany("INSERT INTO steps VALUES (?, ?, ?)", parts)
            return new

    def discard(self, stream: str, session: int, number: int, episode: int) -> bool:
        """Removes the stream's open episode; False where that was done before. Raises as `append`."""
        with self.lock:
            cursor = self._current(stream, session, number)
            if number <= cursor.stored:
                return False
            if not cursor.open or cursor.episode != episode:
                raise ProtocolError(f"Episode {episode} is to be discarded, but it is not in progress.")
            with self._transaction(stream, replace(cursor, stored=number, open=False)) as db:
                db.execute("DELETE FROM steps WHERE episode = ?", (episode,))
            return True

    def _current(self, stream: str, session: int, first: int) -> Cursor:
        cursor = self.cursors.get(stream)
        if cursor is None:
            raise ProtocolError(f"The stream {stream} has not said hello.")
        if session != cursor.session:
            raise ProtocolError(
                f"Session {session} of stream {stream} is over: session {cursor.session} has begun. "
                "Does another actor use a copy of the same folder?"
            )
        if first > cursor.stored + 1:
            raise ProtocolError(f"Entry {first} came where {cursor.stored + 1} was expected.")
        return cursor

    def pending(self) -> list[list[Step]]:
        """The episodes in the store, in the order of their numbers. Raises HilserlError where one is damaged."""
        with self.lock, self._explained():
            rows = self._db.execute("SELECT payload FROM steps ORDER BY episode, first").fetchall()
        try:
            return list(by_episode([step for (payload,) in rows for step in unpack(payload, self._spec)]))
        except HilserlError as error:
            raise HilserlError(f"The store {self.path} is damaged: {error}") from error

    def is_open(self, episode: int) -> bool:
        """Whether more steps of an episode may come."""
        return any(cursor.open and cursor.episode == episode for cursor in self.cursors.values())

    def release(self, episode: int) -> None:
        """The episode has been written elsewhere."""
        with self.lock, self._explained(), self._db:
            self._db.execute("DELETE FROM steps WHERE episode = ?", (episode,))

    def close(self) -> None:
        with self.lock:
            self._db.close()
