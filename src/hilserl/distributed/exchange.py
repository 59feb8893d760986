"""What passes between a learner and its actors: steps one way, weights the other, and signs of life."""

import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.distributed.protocol import (
    ActorReport,
    Description,
    EntryHeader,
    Hello,
    LearnerStatus,
    ProtocolError,
    PutHeader,
    Stored,
    UnreachableError,
    WeightsWanted,
    Welcome,
    differences,
    steps_in,
)
from hilserl.distributed.store import Store
from hilserl.distributed.weights import Arrays, Weights
from hilserl.training.learner import LearnerFacts

ALIVE_S = 10.0
"""An actor that has been silent for longer counts as gone."""
_BACKLOG_STEPS = 2_000
_POLL_S = 0.005
_WARN_EVERY_S = 5.0


@dataclass(frozen=True)
class Arrived:
    """What the learner has to deal with next: steps of one actor, or an episode of its that is to be forgotten."""

    number: int
    steps: list[Step]
    discard: int | None = None


@dataclass
class ActorInfo:
    """An actor as the learner knows it."""

    name: str
    number: int
    heard: float
    process: str = ""
    leaving: bool = False
    numbers: dict[str, float] | None = None
    """What it last reported."""

    @property
    def is_alive(self) -> bool:
        return not self.leaving and time.monotonic() - self.heard < ALIVE_S


class Exchange:
    """What the service does, whatever the network is; any thread may call it.

    Args:
        store: where steps are safe.
        spec: of the steps.
        ours: what an actor's hello has to agree with.
        config: the run's settings, which actors may ask for.
        facts: how the learner is doing.
        weights: the newest weights' version and arrays.
        version: of the newest weights.
        outcomes: of a stream's newest episodes, by the actor's number.
        prepare: done to each step on its way to the learner.
        warn: told what was refused.
    """

    def __init__(
        self,
        store: Store,
        spec: ExperienceSpec,
        ours: Hello,
        *,
        config: str,
        facts: Callable[[], LearnerFacts],
        weights: Callable[[], tuple[int, Arrays]],
        version: Callable[[], int],
        outcomes: Callable[[int], tuple[tuple[bool, bool], ...]],
        prepare: Callable[[Step], Step],
        warn: Callable[[str], object],
    ) -> None:
        self._store, self._spec, self._ours, self._config = store, spec, ours, config
        self._facts, self._weights, self._version = facts, weights, version
        self._outcomes, self._prepare, self._warn = outcomes, prepare, warn
        self._arrived: queue.SimpleQueue[Arrived] = queue.SimpleQueue()
        self._waiting, self._counting = 0, threading.Lock()
        self._peers: dict[str, ActorInfo] = {}
        self._quiet_until = 0.0
        self._life = 1 + secrets.randbits(61)
        self.stop = ""
        """Set by the learner: why actors need not go on."""
        self.refused = self.repeated = 0
        """Requests that were refused, and steps that came again."""

    def hello(self, hello: Hello) -> Welcome:
        """Begins a session.

        Raises RefusedError where the two sides do not fit together, UnreachableError while another process with the
        same stream is there: their steps would have the same numbers.
        """
        if different := differences(self._ours, hello):
            raise ProtocolError(f"Actor {hello.name} does not fit this learner: {different}.")
        if hello.run not in ("", self._store.run):
            raise ProtocolError(
                f"Actor {hello.name} has steps for another run than this learner's. Give it a new --run-dir, "
                "or go on with the learner's run it belongs to."
            )
        other = self._peers.get(hello.stream)
        # A sign of life may come before the hello, after the learner began anew: it does not tell the process.
        if other and other.is_alive and other.process not in ("", hello.process):
            raise UnreachableError(
                f"Actor {other.number} is another process, on {other.name}, which was heard of within {ALIVE_S:.0f} s. "
                "Every actor needs a --run-dir of its own; a copy of one will not do."
            )
        cursor = self._store.open_session(hello.stream)
        self._peers[hello.stream] = ActorInfo(hello.name, cursor.number, time.monotonic(), hello.process)
        return Welcome(
            self._store.run,
            cursor.number,
            cursor.session,
            cursor.stored,
            cursor.next_episode,
            self._outcomes(cursor.number),
        )

    def take(self, put: PutHeader, entry: EntryHeader, batch: pa.RecordBatch) -> Stored:
        """Stores a batch of steps, or a discard, and hands what is new to the learner."""
        if self._waiting >= _BACKLOG_STEPS:
            raise UnreachableError("The learner is behind with what it was sent.")
        steps = [self._prepare(step) for step in steps_in(batch, self._spec)]
        with self._store.lock:
            if entry.discard is not None:
                if steps:
                    raise ProtocolError(
                        f"Episode {entry.discard} is to be discarded, and {len(steps)} steps came with it."
                    )
                if self._store.discard(put.stream, put.session, entry.first, entry.discard):
                    self._deliver(put.stream, [], entry.discard)
            else:
                new = self._store.append(put.stream, put.session, entry.first, steps, batch)
                self.repeated += len(steps) - len(new)
                if new:
                    self._deliver(put.stream, new)
            return Stored(self._store.cursors[put.stream].stored)

    def _deliver(self, stream: str, steps: list[Step], discard: int | None = None) -> None:
        with self._counting:
            self._waiting += len(steps)
        self._arrived.put(Arrived(self._store.cursors[stream].number, steps, discard))

    def arrived(self, wait_s: float = 0.0) -> Iterator[Arrived]:
        """What has come since; waits for the first for a while."""
        while True:
            try:
                item = self._arrived.get(timeout=wait_s) if wait_s else self._arrived.get_nowait()
            except queue.Empty:
                return
            wait_s = 0.0
            with self._counting:
                self._waiting -= len(item.steps)
            yield item

    def weights(self, wanted: WeightsWanted) -> Weights | None:
        """Weights newer than those wanted, as soon as there are any; None where there are none in time."""
        deadline = time.monotonic() + wanted.within_s
        while wanted.life == self._life and self._version() <= wanted.newer_than:
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)
        return Weights(self._life, *self._weights())

    def report(self, report: ActorReport) -> LearnerStatus:
        """Notes an actor's sign of life."""
        if cursor := self._store.cursors.get(report.stream):
            # The learner may have begun anew since the actor said hello.
            peer = self._peers.setdefault(report.stream, ActorInfo(report.name, cursor.number, 0.0))
            peer.heard, peer.leaving, peer.numbers = time.monotonic(), report.leaving, report.numbers
        return LearnerStatus(self._facts(), len(self.alive), self.stop)

    def describe(self) -> Description:
        """What anybody may know."""
        return Description(self._store.run, self._ours.name, self._config, self._facts(), len(self.alive))

    @property
    def alive(self) -> list[ActorInfo]:
        """The actors that have been heard of lately."""
        return [peer for peer in list(self._peers.values()) if peer.is_alive]

    @property
    def left(self) -> bool:
        """Whether the last actor left by itself, rather than falling silent."""
        peers = list(self._peers.values())
        return bool(peers) and all(peer.leaving for peer in peers)

    def refuse(self, error: Exception) -> None:
        """Counts and tells what was refused."""
        self.refused += 1
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _WARN_EVERY_S
            self._warn(f"Refused ({self.refused} so far): {error}")
