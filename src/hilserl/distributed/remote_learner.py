"""Endpoint of a learner on the network; it never blocks the actor."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hilserl.address import Address
from hilserl.agents.agent import Actor
from hilserl.data.step import Step
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.durable_log import DurableLog, LogFullError
from hilserl.distributed.learner_client import LearnerClient, Timing
from hilserl.distributed.protocol import (
    MAX_ROWS,
    ActorReport,
    Hello,
    ProtocolError,
    PutHeader,
    TransientError,
    UnreachableError,
    Welcome,
)
from hilserl.distributed.weights import with_weights
from hilserl.training.learner import LearnerFacts

USUAL_TIMING = Timing()
_FLUSH_S, _LAST_TRY_S, _SILENT_S = 15.0, 2.0, 3.0
_MOST_ROWS = 4 * MAX_ROWS


@dataclass
class Counters:
    """Counters of a remote learner, for metrics."""

    sent: int = 0
    """Acknowledged entries."""
    failures: int = 0
    """Failed calls."""
    dropped: int = 0
    """Steps that were not recorded because this side's disk had no room."""
    weights: int = 0
    """Received versions of the weights."""


@dataclass(frozen=True)
class ActorSide:
    """Values that a remote learner asks its actor for."""

    hello: Callable[[], Hello]
    """Hello of the actor."""
    policy: Actor
    """A policy of the same form as the learner's."""
    numbers: Callable[[], dict[str, float]]
    """Numbers for each sign of life."""


class EpisodeLog:
    """Whole episodes in an actor's log.

    What is recorded of an episode begins with its reset and has no gap.
    """

    def __init__(self, log: DurableLog) -> None:
        self._log = log
        self._recording = False
        """True if the episode in progress is recorded."""
        self._kept = False
        """True if some of the episode in progress is in the log."""
        self._forgotten: int | None = None
        """Episode that is to be discarded and has not been yet."""

    def put(self, step: Step) -> bool:
        """Record a step; return False if there is no room."""
        if step.is_reset:
            self._recording = True
        if self._recording:
            try:
                self.put_discard()
                self._log.put_step(step)
            except LogFullError:
                # What follows in this episode would not join what is recorded of it.
                self._recording = False
        self._kept = (self._kept and not step.is_reset) or self._recording
        return self._recording

    def forget(self, episode: int) -> bool:
        """Forget the episode in progress; return False if it was not recorded."""
        if self._kept:
            self._forgotten = episode
            # Without room now it is put before the next step that there is room for.
            with contextlib.suppress(LogFullError):
                self.put_discard()
        return self._kept

    def put_discard(self) -> None:
        """Record a discard that had no room before. Raises LogFullError if there is no room now either."""
        if self._forgotten is not None:
            self._log.put_discard(self._forgotten)
            self._forgotten = None


class _Sender:
    """Sender of the oldest entries in an actor's log."""

    def __init__(self, client: LearnerClient, log: DurableLog, hello: Callable[[], Hello]) -> None:
        self._client, self._log, self._hello = client, log, hello
        self._session, self._most = 0, MAX_ROWS

    def greet(self) -> Welcome:
        """Say hello and begin a session."""
        welcome = self._client.hello(self._hello())
        if not self._log.run:
            self._log.bind(welcome.run)
        self._log.skip_to(welcome.stored)
        self._session = welcome.session
        return welcome

    def send(self) -> Iterator[int]:
        """Send some entries; yield how many each acknowledgement adds."""
        entries = self._log.peek(self._most)
        if not entries:
            return
        header = PutHeader(self._log.id, self._session, self._log.codecs[0].layout)
        for upto in self._client.put(header, ([entry] for entry in entries)):
            yield self._log.acknowledge(upto)
        self._most = min(2 * self._most, _MOST_ROWS)

    def slow_down(self) -> None:
        """Send less at once, so that a slow network meets the deadline."""
        self._most = max(1, min(self._most, MAX_ROWS) // 2)


class _NewestWeights:
    """Newest weights of a learner."""

    def __init__(self, client: LearnerClient, policy: Actor) -> None:
        self._client, self._policy, self._life = client, policy, 0
        self.newest: tuple[Actor, int] = (policy, -1)
        """Policy and version."""

    def fetch(self, within_s: float) -> bool:
        """Wait for newer weights; return False if none came in time."""
        found = self._client.weights(self._life, self.newest[1], within_s)
        if found is None:
            return False
        self.newest, self._life = (with_weights(self._policy, found.arrays), found.version), found.life
        return True


class RemoteLearner:
    """A learner on the network, as its actor sees it.

    A step is on this side's disk before `send` returns. Three threads do the rest: one sends the oldest entries, one
    fetches the newest weights, one gives signs of life. They try again for ever while the learner is away.

    Args:
        address: Address of the learner.
        credentials: Credentials of the learner.
        log: Log in which steps wait; it is closed with the endpoint.
        actor: The actor's values.
        timing: Intervals of the connection.
    """

    def __init__(
        self,
        address: Address,
        credentials: Credentials,
        log: DurableLog,
        actor: ActorSide,
        timing: Timing = USUAL_TIMING,
    ) -> None:
        self.address, self._log, self._actor, self._timing = address, log, actor, timing
        self._clients = [LearnerClient(address, credentials, timing.call_s) for _ in range(3)]
        sending, fetching, self._heartbeat = self._clients
        self._weights = _NewestWeights(fetching, actor.policy)
        self.counters = Counters()
        self.facts = LearnerFacts()
        """Progress of the learner."""
        self.actors = 1
        """Number of the learner's actors."""
        self.stop_reason = ""
        """Learner's reason to end the run; empty while it goes on."""
        self.heard = 0.0
        """Time of the learner's last answer, by the monotonic clock, in seconds."""
        self._sender = _Sender(sending, log, actor.hello)
        self._stopping, self._waiting = threading.Event(), threading.Event()
        self._recorder = EpisodeLog(log)
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def connect(self, wait: Callable[[str], bool]) -> Welcome:
        """Say hello and fetch the first weights; try again until it succeeds.

        Args:
            wait: Called before each new try with the reason for the wait; returns False to give up.

        Raises:
            ProtocolError: The learner does not want this actor.
            UnreachableError: `wait` gave up.
        """
        backoff = self._timing.backoff()
        while True:
            try:
                welcome = self._greet()
                if self._fetch(self._timing.call_s / 2):
                    break
            except UnreachableError as error:
                if not wait(str(error)):
                    raise
                backoff.wait(self._stopping)
        for name, work in (
            ("sender", self._send_on),
            ("weights", lambda: self._repeat(self._fetch_weights)),
            ("heartbeat", lambda: self._repeat(self._send_heartbeat)),
        ):
            self._threads.append(threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True))
            self._threads[-1].start()
        return welcome

    def _greet(self) -> Welcome:
        welcome = self._sender.greet()
        self.heard = time.monotonic()
        return welcome

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as failure:  # noqa: BLE001 - it is raised again in the actor's thread
            self._failure = failure

    def _send_on(self) -> None:
        backoff, broken = self._timing.backoff(), False
        while not self._stopping.is_set():
            try:
                if broken:
                    self._log.tidy()
                    self._greet()
                    broken = False
                if not self._send_some():
                    self._waiting.wait(self._timing.idle_s)
                    self._waiting.clear()
                backoff.reset()
            except TransientError:
                self.counters.failures += 1
                broken = True
                self._sender.slow_down()
                backoff.wait(self._stopping)

    def _send_some(self) -> bool:
        sent = False
        for count in self._sender.send():
            self.counters.sent += count
            self.heard, sent = time.monotonic(), True
        return sent

    def _repeat(self, work: Callable[[], float]) -> None:
        """Call `work`, which returns the pause in seconds, until the end."""
        backoff = self._timing.backoff()
        while not self._stopping.is_set():
            try:
                pause_s = work()
                backoff.reset()
                self._stopping.wait(pause_s)
            except UnreachableError:
                self.counters.failures += 1
                backoff.wait(self._stopping)

    def _fetch_weights(self) -> float:
        return self._timing.between_weights_s if self._fetch(self._timing.weights_wait_s) else 0.0

    def _fetch(self, within_s: float) -> bool:
        self.counters.weights += (found := self._weights.fetch(within_s))
        return found

    def _send_heartbeat(self) -> float:
        self._tell()
        return self._timing.heartbeat_s

    def _tell(self, *, leaving: bool = False) -> None:
        report = ActorReport(self._log.id, self._actor.numbers(), leaving, self._actor.hello().name)
        status = self._heartbeat.report(report)
        self.facts, self.actors = status.facts, status.actors
        self.stop_reason, self.heard = status.stop, time.monotonic()

    def send(self, step: Step) -> None:
        """Put a step on this side's disk. Raises the permanent error of a thread, if one failed."""
        self._raise_failure()
        self.counters.dropped += not self._recorder.put(step)
        self._waiting.set()

    def forget(self, episode: int) -> None:
        """Take back the steps of the episode in progress."""
        if self._recorder.forget(episode):
            self._waiting.set()

    @property
    def has_room(self) -> bool:
        """True if this side's disk can take more episodes."""
        return self._log.has_room

    def weights(self) -> tuple[Actor, int]:
        """Return the newest weights that have arrived, and their version."""
        return self._weights.newest

    @property
    def waiting(self) -> int:
        """Number of steps that the learner has not acknowledged."""
        return len(self._log)

    @property
    def state(self) -> str:
        """State of the connection, as text for people."""
        silence = time.monotonic() - self.heard
        how = "connected" if silence < _SILENT_S else f"silent for {silence:.0f} s"
        return f"{self.address}, {how}, {self.waiting} steps to send"

    def flush(self, within_s: float) -> bool:
        """Wait for at most `within_s` seconds; return True if everything was sent."""
        deadline = time.monotonic() + within_s
        while len(self._log) and time.monotonic() < deadline and self._failure is None:
            time.sleep(0.01)
        return not len(self._log)

    def stop(self) -> None:
        """End the threads; unsent steps stay on this side's disk."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._waiting.set()
        for thread in self._threads:
            thread.join()
        if self._threads:
            with contextlib.suppress(UnreachableError, ProtocolError):
                self._tell(leaving=True)
        for client in self._clients:
            client.close()
        self._log.close()

    def close(self) -> None:
        """Send everything, if that takes only some seconds, then stop. Raises LogFullError as `put_discard`."""
        self._recorder.put_discard()
        self.flush(_FLUSH_S if time.monotonic() - self.heard < _SILENT_S else _LAST_TRY_S)
        self.stop()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
