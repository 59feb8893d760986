"""Exchange of steps and weights between a learner and its actors."""

import logging
import queue
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.durable_log import DurableLog
from hilserl.distributed.protocol import (
    ActorReport,
    Description,
    Hello,
    LearnerStatus,
    LogEntry,
    ProtocolError,
    PutHeader,
    Stored,
    UnreachableError,
    WeightsWanted,
    Welcome,
    differences,
)
from hilserl.distributed.weights import Arrays, Weights
from hilserl.training.learner import LearnerFacts

ALIVE_S = 10.0
"""Silence, in seconds, after which an actor counts as gone."""
MAX_SILENT_STREAMS = 1_000
"""Limit of the streams that have no step; a learner remembers each."""
BACKLOG_STEPS = 2_000
"""Limit of the steps that wait for the learner."""
_WARN_EVERY_S = 5.0
PUT_BEFORE_S = 5.0
"""Time that a put waits for the one before it."""
_log = logging.getLogger(__name__)


Batch = tuple[Sequence[LogEntry], Sequence[Step]]
"""Entries with consecutive numbers and their steps; a discard has no step."""


@dataclass(frozen=True)
class Arrived:
    """New steps of one actor, or an episode to forget."""

    number: int
    """Number of the actor."""
    steps: list[Step]
    discard: int | None = None
    """Episode to forget."""


@dataclass
class ActorInfo:
    """An actor as the learner knows it."""

    name: str
    number: int
    heard: float
    """Time of the last sign of life (monotonic clock, seconds)."""
    process: str = ""
    leaving: bool = False
    numbers: dict[str, float] | None = None
    """Numbers of its last report."""

    def is_alive(self, alive_s: float) -> bool:
        """Return True unless the actor has left or is silent too long."""
        return not self.leaving and time.monotonic() - self.heard < alive_s


@dataclass(frozen=True)
class LearnerHooks:
    """Callbacks into the learner; any thread may call them."""

    facts: Callable[[], LearnerFacts]
    """Progress of the learner."""
    weights: Callable[[], tuple[int, Arrays]]
    """Version and arrays of the newest weights."""
    version: Callable[[], int]
    """Version of the newest weights."""
    outcomes: Callable[[int], tuple[tuple[bool, bool], ...]]
    """Outcomes of an actor's newest episodes: success, and whether the operator acted."""
    prepare: Callable[[Step], Step]
    """Preparation of each step for replay; encodes images that are not encoded."""


class Exchange:
    """The learner's service apart from the network; any thread may call it.

    Args:
        log: Log in which steps are safe.
        ours: Values that an actor's hello has to agree with.
        config: The run's settings as JSON, which actors may ask for.
        learner: Callbacks into the learner.
        alive_s: Silence, in seconds, after which an actor counts as gone.
        backlog_steps: Steps that may wait for the learner before more are refused for now.
    """

    def __init__(
        self,
        log: DurableLog,
        ours: Hello,
        config: str,
        learner: LearnerHooks,
        *,
        alive_s: float = ALIVE_S,
        backlog_steps: int = BACKLOG_STEPS,
    ) -> None:
        self.log, self._ours, self._config, self._learner = log, ours, config, learner
        self.alive_s, self.backlog_steps = alive_s, backlog_steps
        self._arrived: queue.SimpleQueue[Arrived] = queue.SimpleQueue()
        self._waiting, self._counting = 0, threading.Lock()
        self._published = threading.Condition()
        self._moved = threading.Condition(log.lock)
        """Notified when a stream's cursor has moved."""
        self._actors: dict[str, ActorInfo] = {}
        self._quiet_until = 0.0
        self._life = 1 + secrets.randbits(61)
        self.stop = ""
        """Reason to end the run; empty while it goes on."""
        self.refused = 0
        """Number of refused requests."""
        self.repeated = 0
        """Number of steps that came again."""

    def hello(self, hello: Hello) -> Welcome:
        """Begin a session.

        Raises:
            ProtocolError: The two sides do not fit together.
            UnreachableError: Another process with the same stream is there; their steps would have the same numbers.
        """
        if different := differences(self._ours, hello):
            raise ProtocolError(f"Actor {hello.name} does not fit this learner: {different}.")
        if hello.run not in ("", self.log.id):
            raise ProtocolError(
                f"Actor {hello.name} has steps for another run than this learner's. Give it a new --run-dir, "
                "or resume the run that its steps belong to."
            )
        other = self._actors.get(hello.stream)
        # After a restart of the learner a sign of life may come before the hello; it does not tell the process.
        if other and other.is_alive(self.alive_s) and other.process not in ("", hello.process):
            raise UnreachableError(
                f"Actor {other.number} is another process, on {other.name}, which was heard of within "
                f"{self.alive_s:.0f} s. Every actor needs its own --run-dir; a copy of one is not enough."
            )
        if hello.stream not in self.log.cursors and self._silent_streams >= MAX_SILENT_STREAMS:
            raise UnreachableError(f"{MAX_SILENT_STREAMS} other actors have said hello and sent no step.")
        cursor = self.log.open_session(hello.stream)
        self._actors[hello.stream] = ActorInfo(hello.name, cursor.number, time.monotonic(), hello.process)
        outcomes = self._learner.outcomes(cursor.number)
        return Welcome(self.log.id, cursor.number, cursor.session, cursor.stored, cursor.next_episode, outcomes)

    def read(self, codec: StepCodec, entries: Sequence[LogEntry]) -> list[Batch]:
        """Decode and check entries before they are stored.

        Raises:
            StepCodecError: A step cannot be read.
            ProtocolError: An entry does not fit its step.
            UnreachableError: The learner is behind.
        """
        if self._waiting >= self.backlog_steps:
            raise UnreachableError("The learner is behind with the steps that it was sent.")
        return [(group, self._decoded(codec, group)) for group in _consecutive(entries)]

    def store(self, put: PutHeader, codec: StepCodec, batches: Sequence[Batch]) -> Stored:
        """Store what `read` returned, and hand it to the learner.

        Raises:
            ProtocolError: An entry does not follow on what is stored.
            LogFullError: The learner's disk is full.
            UnreachableError: The put before this one has not come.
        """
        with self._moved:
            if put.after and not self._comes_next(put):
                raise UnreachableError(f"The entries up to {put.after} have not come.")
            # Puts that wait look again when this one leaves the lock.
            self._moved.notify_all()
            for entries, steps in batches:
                if steps:
                    new = self.log.append(put.stream, put.session, entries, steps, codec)
                    self.repeated += len(steps) - len(new)
                    if new:
                        self._deliver(put.stream, new)
                elif self.log.discard(put.stream, put.session, entries[0].number, entries[0].episode):
                    self._deliver(put.stream, [], entries[0].episode)
            return Stored(self.log.cursors[put.stream].stored)

    def _comes_next(self, put: PutHeader) -> bool:
        """Wait until the put before is stored; return False if too late."""
        cursors = self.log.cursors
        in_time = self._moved.wait_for(
            lambda: put.stream not in cursors or put.after <= cursors[put.stream].stored, PUT_BEFORE_S
        )
        return in_time and (put.stream not in cursors or cursors[put.stream].session == put.session)

    def _decoded(self, codec: StepCodec, group: Sequence[LogEntry]) -> list[Step]:
        """Decode the steps of a group; a discard has none."""
        if group[0].payload is None:
            return []
        steps = codec.decode([entry.payload for entry in group])
        for entry, step in zip(group, steps, strict=True):
            if entry.episode != step.episode:
                raise ProtocolError(f"Entry {entry.number} is of episode {entry.episode}, its step of {step.episode}.")
        return [self._learner.prepare(step) for step in steps]

    def _deliver(self, stream: str, steps: list[Step], discard: int | None = None) -> None:
        with self._counting:
            self._waiting += len(steps)
        self._arrived.put(Arrived(self.log.cursors[stream].number, steps, discard))

    def arrived(self, wait_s: float = 0.0) -> Iterator[Arrived]:
        """Yield all new items; wait at most `wait_s` seconds for the first."""
        while True:
            try:
                item = self._arrived.get(timeout=wait_s) if wait_s else self._arrived.get_nowait()
            except queue.Empty:
                return
            wait_s = 0.0
            with self._counting:
                self._waiting -= len(item.steps)
            yield item

    def publish(self) -> None:
        """Wake the calls that wait for weights, because there are newer ones."""
        with self._published:
            self._published.notify_all()

    def weights(self, wanted: WeightsWanted) -> Weights | None:
        """Wait for weights newer than those wanted; None if none came."""
        if wanted.life == self._life:
            with self._published:
                newer = self._published.wait_for(
                    lambda: self._learner.version() > wanted.newer_than, timeout=wanted.within_s
                )
            if not newer:
                return None
        return Weights(self._life, *self._learner.weights())

    def report(self, report: ActorReport) -> LearnerStatus:
        """Note an actor's sign of life."""
        if cursor := self.log.cursors.get(report.stream):
            # The learner may have been restarted since the actor said hello.
            actor = self._actors.setdefault(report.stream, ActorInfo(report.name, cursor.number, 0.0))
            actor.heard, actor.leaving, actor.numbers = time.monotonic(), report.leaving, report.numbers
        return LearnerStatus(self._learner.facts(), len(self.alive), self.stop)

    def describe(self) -> Description:
        """Describe the run to any caller."""
        return Description(self.log.id, self._ours.name, self._config, self._learner.facts(), len(self.alive))

    @property
    def _silent_streams(self) -> int:
        return sum(not cursor.stored for cursor in list(self.log.cursors.values()))

    @property
    def _acting(self) -> list[ActorInfo]:
        """Actors that have sent a step; a hello alone makes no actor."""
        cursors = self.log.cursors
        return [actor for stream, actor in list(self._actors.items()) if stream in cursors and cursors[stream].stored]

    @property
    def alive(self) -> list[ActorInfo]:
        """Actors that act and have been heard of lately."""
        return [actor for actor in self._acting if actor.is_alive(self.alive_s)]

    @property
    def left(self) -> bool:
        """True if all actors have said that they leave."""
        actors = self._acting
        return bool(actors) and all(actor.leaving for actor in actors)

    def refuse(self, error: Exception) -> None:
        """Count a refused request, and log it now and then."""
        self.refused += 1
        if time.monotonic() >= self._quiet_until:
            self._quiet_until = time.monotonic() + _WARN_EVERY_S
            _log.warning("Refused (%d so far): %s", self.refused, error)


def _consecutive(entries: Sequence[LogEntry]) -> Iterator[list[LogEntry]]:
    """Group entries: steps with consecutive numbers together, each discard alone."""
    group: list[LogEntry] = []
    for entry in entries:
        last = group[-1] if group else None
        if last and (last.payload is None or entry.payload is None or entry.number != last.number + 1):
            yield group
            group = []
        group.append(entry)
    if group:
        yield group
