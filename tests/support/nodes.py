"""Learners and actors as processes that are started, broken and checked."""

import contextlib
import itertools
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from hilserl.data.episodes import read_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.protocol import EPISODES_PER_ACTOR
from tests.support import noting_node
from tests.support.noting_node import fingerprint

DEADLINE_S = 180.0
"""Of everything that is waited for; a machine may be slow."""
SETTINGS = (
    *("--obs", "state", "--demonstrations", "1", "--training-starts", "1", "--actor-hz", "100"),
    *("--agent.hidden", "16", "16", "--agent.batch-size", "8", "--agent.utd-ratio", "1"),
    *(
        "--agent.num-critics",
        "2",
        "--agent.num-target-critics",
        "2",
        "--update-steps-per-env-step",
        "0",
        "--max-update-steps-per-env-step",
        "0.5",
    ),
    *("--max-env-steps", "1000000", "--eval-every", "1000000", "--eval-episodes", "1", "--final-eval-episodes", "1"),
)
"""A run that is small and does not end by itself."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


# Processes.


class Node:
    """A verb in another process; its output goes to a file."""

    def __init__(self, log: Path, record: Path, *words: str, spool_bytes: int = 0) -> None:
        self.log = log
        self._from = log.stat().st_size if log.exists() else 0
        with log.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, noting_node.__file__, str(record), str(spool_bytes), *words],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.log.read_bytes()[self._from :].decode()

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """As a power cut would, and everything it started with it."""
        self.group(signal.SIGKILL)
        self.process.wait()

    def kill_alone(self) -> None:
        self.process.kill()
        self.process.wait()

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> None:
        self.process.send_signal(number)

    def group(self, number: signal.Signals) -> None:
        """To the process and all that it started, as a terminal's Ctrl-C."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def freeze(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def ended(self, within_s: float = DEADLINE_S) -> int:
        """Its exit status, once it has ended."""
        try:
            return self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            # It tells what its threads are doing.
            self.process.send_signal(signal.SIGUSR1)
            time.sleep(1)
            raise AssertionError(f"{self.log.name} did not end within {within_s} s; it said:\n{self.said}") from None


def until(condition: Callable[[], object], what: str, *alive: Node, within_s: float = DEADLINE_S) -> None:
    """Waits for something that must come, while these processes go on."""
    deadline = time.monotonic() + within_s
    while not condition():
        for node in alive:
            assert node.is_alive, f"{node.log.name} ended with {node.process.poll()}, before {what}:\n{node.said}"
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}\n" + "\n".join(n.said for n in alive)
        time.sleep(0.02)


class Actor(Node):
    """An actor's process, and the directory in which its steps wait."""

    def __init__(self, directory: Path, *words: str, resume: bool = False, spool_bytes: int = 0) -> None:
        self.directory = directory
        words = ("actor", *words, "--run-dir", str(directory), *(["--resume"] if resume else []))
        super().__init__(directory.with_suffix(".log"), record_of(directory), *words, spool_bytes=spool_bytes)

    @property
    def sent(self) -> int:
        """Entries that the learner has acknowledged."""
        return Spooled.read(self.directory).acknowledged

    @property
    def done(self) -> int:
        """Entries that there have been."""
        return Spooled.read(self.directory).last

    @property
    def waiting(self) -> int:
        spooled = Spooled.read(self.directory)
        return spooled.last - spooled.acknowledged


class Site:
    """One learner and its actors, in a directory of their own."""

    def __init__(self, directory: Path, *settings: str, task: str = "pick_cube") -> None:
        self.directory, self.settings, self.task = directory, settings or SETTINGS, task
        self.port = free_port()
        self.run = directory / "run"
        self.nodes: list[Node] = []

    @property
    def actors(self) -> list[Path]:
        """The directories of all actors there have been."""
        return sorted(path.parent for path in self.directory.rglob("spool.sqlite"))

    def learner(self, *words: str, resume: bool = False, verb: str = "learner") -> Node:
        """A learner, or its run gone on with."""
        words = ("--run-dir", str(self.run), *words, *(["--resume"] if resume else self.settings))
        free_running = () if resume else ("--async",)
        listen = ("--listen", f"127.0.0.1:{self.port}") if verb == "learner" else free_running
        record = record_of(self.run / "actors" / "0")
        self.nodes.append(Node(self.directory / "learner.log", record, verb, self.task, *listen, *words))
        return self.nodes[-1]

    def actor(
        self, name: object = 0, *words: str, port: int | None = None, resume: bool = False, spool_bytes: int = 0
    ) -> Actor:
        words = (self.task, "--learner", f"127.0.0.1:{port or self.port}", *words)
        actor = Actor(self.directory / f"actor{name}", *words, resume=resume, spool_bytes=spool_bytes)
        self.nodes.append(actor)
        return actor

    def check(self) -> list["Balance"]:
        """Each actor's steps, counted; fails unless every one is where it should be, once. For when nothing runs."""
        balances = balance(self.run, self.actors)
        problems = [problem for each in balances for problem in each.problems]
        assert not problems, "\n".join(problems)
        return balances

    def close(self) -> None:
        for node in self.nodes:
            node.thaw() if node.is_alive else None
            node.kill()


# The books.


def record_of(actor: Path) -> Path:
    """Return the path of an actor's notes."""
    return actor.parent / f"{actor.name}.record"


@contextlib.contextmanager
def _database(path: Path) -> Iterator[sqlite3.Connection]:
    # Looking must not change anything, not even tidy up after a killed process.
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=DEADLINE_S)) as database:
        yield database


def spec_of(run: Path) -> ExperienceSpec:
    """Return the layout of a run's steps, read from its demonstrations."""
    return read_episode(next((run / "demonstrations").glob("*.parquet")))[1]


@dataclass(frozen=True)
class Spooled:
    """Entries that an actor has still to send."""

    stream: str = ""
    acknowledged: int = 0
    numbers: tuple[int, ...] = ()

    @classmethod
    def read(cls, directory: Path) -> "Spooled":
        """Nothing, as long as the actor has not begun."""
        try:
            with _database(directory / "spool.sqlite") as database:
                stream, _, acknowledged = database.execute("SELECT * FROM log").fetchone()
                rows = database.execute("SELECT number FROM entries WHERE number > ? ORDER BY number", (acknowledged,))
                return cls(stream, acknowledged, tuple(number for (number,) in rows))
        except (sqlite3.OperationalError, TypeError):
            return cls()

    @property
    def last(self) -> int:
        return max(self.acknowledged, *self.numbers[-1:], 0)


def _codecs(database: sqlite3.Connection, spec: ExperienceSpec) -> dict[int, StepCodec]:
    """Return the codec of each layout in a log."""
    codecs = {}
    for number, layout in database.execute("SELECT id, layout FROM layouts"):
        fields = [field for field in pa.ipc.read_schema(pa.py_buffer(layout)) if field.name.endswith(".features")]
        features = {field.name.removeprefix("observation."): tuple(field.type.shape) for field in fields}
        codecs[number] = StepCodec(spec, features)
    return codecs


def _waiting(directory: Path, spec: ExperienceSpec) -> dict[int, tuple[int, int, str]]:
    """Return the episode, index and fingerprint of each entry that waits."""
    with _database(directory / "spool.sqlite") as database:
        codecs = _codecs(database, spec)
        rows = database.execute("SELECT number, layout, payload FROM entries").fetchall()
    steps = [(number, codecs[layout].decode([payload])[0]) for number, layout, payload in rows]
    return {number: (step.episode, step.index, fingerprint(step)) for number, step in steps}


@dataclass
class Kept:
    """Fingerprints of the steps that a learner has."""

    episodes: dict[int, list[str]] = field(default_factory=dict)
    stored: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Actor's number and last stored entry of each stream."""
    problems: list[str] = field(default_factory=list)
    twice: dict[int, int] = field(default_factory=dict)
    """Steps that are kept more than once, by episode."""

    @classmethod
    def read(cls, run: Path) -> "Kept":
        kept, spec = cls(), spec_of(run)
        for path in sorted((run / "episodes").glob("*.parquet")):
            # Raises unless the file is one episode's steps from its reset on, in order.
            steps, _ = read_episode(path)
            kept.episodes[steps[0].episode] = [fingerprint(step) for step in steps]
        with _database(run / "incoming.sqlite") as database:
            rows = database.execute("SELECT id, number, stored FROM streams")
            kept.stored = {stream: (number, stored) for stream, number, stored in rows}
            codecs = _codecs(database, spec)
            rows = database.execute("SELECT episode, layout, payload FROM entries ORDER BY episode, number").fetchall()
            for episode, parts in itertools.groupby(rows, lambda row: row[0]):
                steps = [codecs[layout].decode([payload])[0] for _, layout, payload in parts]
                kept._unwritten(episode, steps)
        return kept

    def _unwritten(self, episode: int, steps: list[Step]) -> None:
        """An episode that is not a file yet."""
        if [(step.episode, step.index) for step in steps] != [(episode, index) for index in range(len(steps))]:
            self.problems.append(f"Episode {episode} is kept as {[(step.episode, step.index) for step in steps]}.")
        if episode in self.episodes:
            self.twice[episode] = len(steps)
            self.problems.append(f"Episode {episode} is kept in a file and besides.")
        else:
            self.episodes[episode] = [fingerprint(step) for step in steps]


@dataclass
class Balance:
    """Count of an actor's entries by their place."""

    actor: str
    done: int = 0
    kept: int = 0
    """With the learner."""
    waiting: int = 0
    """Only with the actor."""
    empty: int = 0
    """Resets that nothing followed, which a learner lets go of."""
    lost: int = 0
    twice: int = 0
    unnoted: int = 0
    """Entries of the moment before a kill."""
    problems: list[str] = field(default_factory=list)

    def wrong(self, problem: str) -> None:
        self.problems.append(f"{self.actor}: {problem}")


def balance(run: Path, actors: Sequence[Path]) -> list[Balance]:
    """Compare the notes of actors with their logs and with their learner."""
    kept, spec = Kept.read(run), spec_of(run)
    balances = [_balance(kept, directory, _waiting(directory, spec)) for directory in actors]
    if kept.episodes:
        balances[0].wrong(f"Episodes that no actor has done: {list(kept.episodes)[:5]}.")
    balances[0].problems.extend(kept.problems)
    return balances


def _balance(kept: Kept, directory: Path, waiting: dict[int, tuple[int, int, str]]) -> Balance:
    """One actor's; takes its episodes out of what is kept."""
    spooled, noted = Spooled.read(directory), _noted(directory)
    result = Balance(directory.name, done=spooled.last)
    number, stored = kept.stored.get(spooled.stream, (-1, 0))
    if spooled.acknowledged > stored:
        result.wrong(f"entries to {spooled.acknowledged} were acknowledged, but those after {stored} are not stored.")
        result.lost += spooled.acknowledged - stored
    if list(waiting) != list(range(spooled.acknowledged + 1, spooled.last + 1)):
        result.wrong(f"acknowledged up to {spooled.acknowledged}, it holds {list(waiting)[:3]} ... {spooled.last}.")
    mine = {e: kept.episodes.pop(e) for e in list(kept.episodes) if e // EPISODES_PER_ACTOR == number}
    result.twice = sum(n for e, n in kept.twice.items() if e // EPISODES_PER_ACTOR == number)
    expected: defaultdict[int, list[str]] = defaultdict(list)
    for entry in range(1, spooled.last + 1):
        told = noted.pop(entry, None) or waiting.get(entry)
        if told is None:
            # It was put, and the process killed before it was noted; what follows is another life's first reset.
            result.unnoted += 1
            if entry + 1 <= spooled.last and noted.get(entry + 1, (0, 0, ""))[1] != 0:
                result.wrong(f"entry {entry} was never done.")
            continue
        episode, index, digest = told
        if entry > stored:
            result.waiting += 1
            if waiting.get(entry) != told:
                result.lost += 1
                result.wrong(f"entry {entry}, step {index} of episode {episode}, is gone or another one.")
        elif index < 0:
            expected.pop(episode, None)
        else:
            if index != len(expected[episode]):
                result.wrong(f"step {index} of episode {episode} was done after {len(expected[episode])} others.")
            expected[episode].append(digest)
    if noted:
        result.wrong(f"entries {list(noted)[:5]} were done and are not known to its spool, which ends {spooled.last}.")
        result.lost += len(noted)
    _compare(result, expected, mine)
    return result


def _compare(result: Balance, expected: dict[int, list[str]], kept: dict[int, list[str]]) -> None:
    """Compare the episodes that the learner must have with those it has."""
    surplus = 0
    for episode, steps in expected.items():
        found = kept.pop(episode, [])
        result.kept += len(found)
        if found[: len(steps)] == steps:
            surplus += len(found) - len(steps)
        elif len(steps) == 1 and not found:
            result.empty += 1
        else:
            missing = [index for index, digest in enumerate(steps) if digest not in found]
            result.lost += len(missing)
            result.wrong(f"of {len(steps)} steps of episode {episode}, {missing} are lost; {len(found)} are there.")
    surplus += sum(len(steps) for steps in kept.values())
    result.kept += sum(len(steps) for steps in kept.values())
    # What was not noted is with the learner, or it was a reset that nothing followed.
    if surplus > result.unnoted:
        result.twice += surplus - result.unnoted
        result.wrong(f"{surplus} more steps are kept than were noted; {result.unnoted} were done beside those.")
    result.empty += result.unnoted - surplus


def _noted(directory: Path) -> dict[int, tuple[int, int, str]]:
    noted: dict[int, tuple[int, int, str]] = {}
    record = record_of(directory)
    for line in record.read_text().splitlines() if record.exists() else ():
        number, episode, index, digest = line.split()
        assert int(number) not in noted, f"{directory.name} used the number {number} twice"
        noted[int(number)] = (int(episode), int(index), digest)
    return noted


# The network.


class Proxy:
    """A network between actors and their learner that can be broken."""

    def __init__(self, target_port: int, bytes_per_s: float | None = None) -> None:
        self._target_port, self.bytes_per_s = target_port, bytes_per_s
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._swallowing = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._sockets: set[socket.socket] = set()
        self._lossy: set[socket.socket] = set()
        self.swallowed = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target_port), timeout=5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                self._sockets |= {client, server}
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(16_384):
                self._flowing.wait()
                if self._swallowing:
                    self._lossy |= {source, sink}
                    self.swallowed += len(data)
                    continue
                sink.sendall(data)
                if self.bytes_per_s:
                    time.sleep(len(data) / self.bytes_per_s)
        for each in (source, sink):
            self._end(each)

    def _end(self, each: socket.socket) -> None:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
        each.close()
        self._sockets.discard(each)

    def cut(self) -> None:
        """From now on bytes vanish."""
        self._swallowing = True

    def heal(self) -> None:
        """Bytes arrive again; what lost some is broken."""
        self._swallowing = False
        for each in list(self._lossy):
            self._end(each)
        self._lossy.clear()

    def hold(self) -> None:
        """From now on bytes are late."""
        self._flowing.clear()

    def release(self) -> None:
        self._flowing.set()

    def close(self) -> None:
        self._listening.close()
        self._flowing.set()
        for each in list(self._sockets):
            self._end(each)
