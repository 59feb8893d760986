"""The actor's link to a learner on the network, which never lets the actor wait."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import pyarrow as pa

from hilserl.address import Address
from hilserl.agents.agent import Actor
from hilserl.data.arrow import arrow_schema
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.flight_client import CALL_S, TOGETHER_BYTES, Backoff, LearnerClient
from hilserl.distributed.protocol import (
    MAX_ROWS,
    ActorReport,
    EntryHeader,
    Hello,
    ProtocolError,
    PutHeader,
    UnreachableError,
    Welcome,
    batch_of,
    empty_batch,
)
from hilserl.distributed.spool import Spool, SpoolEntry, SpoolFullError
from hilserl.distributed.weights import with_weights
from hilserl.training.learner import LearnerFacts

_HEARTBEAT_S = 1.0
_WEIGHTS_WAIT_S = 1.0
_BETWEEN_WEIGHTS_S = 0.1
_IDLE_S = 0.2
_FLUSH_S, _LAST_TRY_S = 15.0, 2.0
_SILENT_S = 3.0


@dataclass
class Counters:
    """What went over a link, for metrics."""

    sent: int = 0
    failures: int = 0
    """Calls that did not succeed."""
    dropped: int = 0
    """Steps that were not recorded, because there was no room on this side's disk."""
    weights: int = 0
    """Versions received."""


class RemoteLearner:
    """A link to a learner on the network.

    A step is on this side's disk before `send` returns; three threads do the rest: one sends what waits there, in
    order, one fetches the newest weights, one gives signs of life. A learner that is away is tried again for ever.

    Args:
        address, credentials: of the learner.
        spool: where steps wait; it is closed with the link.
        hello: what this actor is, but for the run, which the spool knows.
        like: an actor of the form of the learner's.
        numbers: asked for with every sign of life.
    """

    def __init__(
        self,
        address: Address,
        credentials: Credentials,
        spool: Spool,
        spec: ExperienceSpec,
        hello: Callable[[], Hello],
        like: Actor,
        numbers: Callable[[], dict[str, float]],
    ) -> None:
        self.address, self._spool, self._spec = address, spool, spec
        self._hello, self._like, self._numbers = hello, like, numbers
        self._lines = {name: LearnerClient(address, credentials) for name in ("sender", "weights", "heartbeat")}
        self._newest: tuple[Actor, int] = (like, -1)
        self._life = 0
        self.counters = Counters()
        self.facts, self.actors = LearnerFacts(), 1
        """How the learner is doing, and how many actors it has."""
        self.stop_reason = ""
        """Why the learner wants no more steps, if it does not."""
        self.heard = 0.0
        """When the learner last answered, by the monotonic clock."""
        self._session, self._most = 0, MAX_ROWS
        self._stopping, self._waiting = threading.Event(), threading.Event()
        self._recording = self._kept = False
        """Whether the episode in progress is recorded, and whether some of it has been."""
        self._forgotten: int | None = None
        """An episode that is to be discarded and has not been yet."""
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def connect(self, wait: Callable[[str], bool]) -> Welcome:
        """Says hello and fetches the first weights, however long it takes.

        `wait` is told what is in the way before each new try, and ends it by returning False. Raises RefusedError
        where the learner does not want this actor, UnreachableError where `wait` gave up.
        """
        backoff = Backoff()
        while True:
            try:
                welcome = self._greet()
                if self._fetch(CALL_S / 2):
                    break
            except UnreachableError as error:
                if not wait(str(error)):
                    raise
                backoff.wait(self._stopping)
        for name, work in (("sender", self._send_on), ("weights", self._fetch_on), ("heartbeat", self._beat)):
            self._threads.append(threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True))
            self._threads[-1].start()
        return welcome

    def _greet(self) -> Welcome:
        welcome = self._lines["sender"].hello(self._hello())
        self.heard = time.monotonic()
        if not self._spool.run:
            self._spool.bind(welcome.run)
        self._spool.skip_to(welcome.stored)
        self._session = welcome.session
        return welcome

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - it is raised again in the actor's thread
            self._failure = failure

    def _send_on(self) -> None:
        backoff, broken = Backoff(), False
        while not self._stopping.is_set():
            try:
                if broken:
                    self._spool.tidy()
                    self._greet()
                    broken = False
                if not self._send_some():
                    self._waiting.wait(_IDLE_S)
                    self._waiting.clear()
                backoff.reset()
            except (UnreachableError, SpoolFullError):
                self.counters.failures += 1
                broken = True
                # What a slow network does not get across within a call's deadline goes in smaller pieces.
                self._most = max(1, self._most // 2)
                backoff.wait(self._stopping)

    def _send_some(self) -> bool:
        """Sends the oldest entries; False where there were none."""
        entries = self._spool.peek(self._most)
        if not entries:
            return False
        header = PutHeader(self._spool.stream, self._session)
        for upto in self._lines["sender"].put(header, messages_of(entries, self._spec), arrow_schema(self._spec)):
            self.counters.sent += self._spool.acknowledge(upto)
            self.heard = time.monotonic()
        self._most = min(2 * self._most, MAX_ROWS)
        return True

    def _fetch_on(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                if self._fetch(_WEIGHTS_WAIT_S):
                    # Newer ones than an actor's step can use are not worth their way.
                    self._stopping.wait(_BETWEEN_WEIGHTS_S)
                backoff.reset()
            except UnreachableError:
                self.counters.failures += 1
                backoff.wait(self._stopping)

    def _fetch(self, within_s: float) -> bool:
        found = self._lines["weights"].weights(self._life, self._newest[1], within_s)
        if found is None:
            return False
        self._newest, self._life = (with_weights(self._like, found.arrays), found.version), found.life
        self.counters.weights += 1
        return True

    def _beat(self) -> None:
        backoff = Backoff()
        while not self._stopping.is_set():
            try:
                self._tell()
                backoff.reset()
                self._stopping.wait(_HEARTBEAT_S)
            except UnreachableError:
                self.counters.failures += 1
                backoff.wait(self._stopping)

    def _tell(self, *, leaving: bool = False) -> None:
        report = ActorReport(self._spool.stream, self._numbers(), leaving, self._hello().name)
        status = self._lines["heartbeat"].report(report)
        self.facts, self.actors = status.facts, status.actors
        self.stop_reason, self.heard = status.stop, time.monotonic()

    def send(self, step: Step) -> None:
        """Puts a step on this side's disk. Raises what went wrong for good on the way to the learner."""
        self._raise_failure()
        if step.is_reset:
            self._recording = True
        if self._recording:
            try:
                self._put_discard()
                self._spool.put_step(step)
            except SpoolFullError:
                # What follows in this episode would not join what is recorded of it.
                self._recording = False
        self._kept = (self._kept and not step.is_reset) or self._recording
        self.counters.dropped += not self._recording
        self._waiting.set()

    def forget(self, episode: int) -> None:
        if self._kept:
            self._forgotten = episode
            # Without room now it is put before the next step that there is room for.
            with contextlib.suppress(SpoolFullError):
                self._put_discard()
            self._waiting.set()

    def _put_discard(self) -> None:
        if self._forgotten is not None:
            self._spool.put_discard(self._forgotten)
            self._forgotten = None

    @property
    def has_room(self) -> bool:
        """Whether this side's disk can take more episodes."""
        return self._spool.has_room

    def weights(self) -> tuple[Actor, int]:
        return self._newest

    @property
    def waiting(self) -> int:
        """Steps on this side's disk that the learner has not acknowledged."""
        return len(self._spool)

    @property
    def state(self) -> str:
        """How the connection is, for people."""
        silence = time.monotonic() - self.heard
        how = "connected" if silence < _SILENT_S else f"silent for {silence:.0f} s"
        return f"{self.address}, {how}, {self.waiting} steps to send"

    def flush(self, within_s: float) -> bool:
        """Waits until everything has been sent, or for so long; whether everything has."""
        deadline = time.monotonic() + within_s
        while len(self._spool) and time.monotonic() < deadline and self._failure is None:
            time.sleep(0.01)
        return not len(self._spool)

    def stop(self) -> None:
        """Ends the threads; what has not been sent stays on this side's disk."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._waiting.set()
        for thread in self._threads:
            thread.join()
        if self._threads:
            with contextlib.suppress(UnreachableError, ProtocolError):
                self._tell(leaving=True)
        for line in self._lines.values():
            line.close()
        self._spool.close()

    def close(self) -> None:
        """The same after everything has been sent, if that goes within a few seconds.

        Raises SpoolFullError where an episode that is to be forgotten cannot be said to be.
        """
        self._put_discard()
        self.flush(_FLUSH_S if time.monotonic() - self.heard < _SILENT_S else _LAST_TRY_S)
        self.stop()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def messages_of(entries: Sequence[SpoolEntry], spec: ExperienceSpec) -> Iterator[tuple[EntryHeader, pa.RecordBatch]]:
    """Entries as they travel: steps that follow each other together, but never many bytes; each discard by itself."""
    most = max(1, TOGETHER_BYTES // spec.step_bytes)
    for discards, group in groupby(entries, lambda entry: entry.step is None):
        together = list(group)
        if discards:
            for entry in together:
                yield EntryHeader(entry.number, entry.episode), empty_batch(spec)
            continue
        for begin in range(0, len(together), most):
            part = together[begin : begin + most]
            yield EntryHeader(part[0].number), batch_of([entry.step for entry in part if entry.step], spec)
