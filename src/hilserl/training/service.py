"""The learner as a service on the network: Arrow Flight in front of an exchange of steps and weights.

What it promises its actors:
* A step is acknowledged only when it is on the learner's disk, and it is there once, in order within its episode.
* Weights are the newest there are when the answer is written; nobody ever gets an older version after a newer one.
* What one caller does wrong is refused and told to that caller; the others do not notice.
"""

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import flight

from hilserl.errors import HilserlError
from hilserl.experience import ExperienceSpec, Step
from hilserl.training.credentials import Address, Credentials, check_listening
from hilserl.training.learner import LearnerFacts
from hilserl.training.store import Store
from hilserl.training.wire import (
    MAX_ROWS,
    Description,
    EntryHeader,
    Hello,
    PutHeader,
    RefusedError,
    Report,
    Status,
    Stored,
    UnreachableError,
    WeightsWanted,
    Welcome,
    check_rows,
    check_schema,
    decode,
    differences,
    encode,
    steps_in,
)

ALIVE_S = 10.0
"""An actor that has been silent for longer counts as gone."""
_BACKLOG_STEPS = 2_000
_POLL_S = 0.005
_WARN_EVERY_S = 5.0
WEIGHTS_SCHEMA = pa.schema([pa.field("version", pa.int64()), pa.field("weights", pa.large_binary())])


@dataclass(frozen=True)
class Arrived:
    """What the learner has to deal with next: steps of one actor, or an episode of its that is to be forgotten."""

    number: int
    steps: list[Step]
    discard: int | None = None


@dataclass
class Peer:
    """An actor as the learner knows it."""

    name: str
    number: int
    heard: float
    leaving: bool = False
    numbers: dict[str, float] | None = None
    """What it last reported."""

    @property
    def is_alive(self) -> bool:
        return not self.leaving and time.monotonic() - self.heard < ALIVE_S


class Exchange:
    """What the service does, whatever the network is.

    Args:
        store: where steps are safe.
        spec: of the steps.
        ours: what an actor's hello has to agree with.
        config: the run's settings, which actors may ask for.
        facts: how the learner is doing.
        weights: the newest weights' version and bytes.
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
        weights: Callable[[], tuple[int, bytes]],
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
        self._peers: dict[str, Peer] = {}
        self._quiet_until = 0.0
        self.stop = ""
        """Set by the learner: why actors need not go on."""
        self.refused = self.repeated = 0
        """Requests that were refused, and steps that came again."""

    def hello(self, hello: Hello) -> Welcome:
        """Begins a session. Raises RefusedError where the two sides do not fit together."""
        if different := differences(self._ours, hello):
            raise RefusedError(f"Actor {hello.name} does not fit this learner: {different}.")
        if hello.run not in ("", self._store.run):
            raise RefusedError(
                f"Actor {hello.name} has steps for another run than this learner's. Give it a new --run-dir, "
                "or go on with the learner's run it belongs to."
            )
        cursor = self._store.open_session(hello.stream)
        self._peers[hello.stream] = Peer(hello.name, cursor.number, time.monotonic())
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

    def weights(self, wanted: WeightsWanted) -> tuple[int, bytes] | None:
        """Weights newer than those wanted, as soon as there are any; None where there are none in time."""
        deadline = time.monotonic() + wanted.within_s
        while self._version() <= wanted.newer_than:
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)
        return self._weights()

    def report(self, report: Report) -> Status:
        """Notes an actor's sign of life."""
        if peer := self._peers.get(report.stream):
            peer.heard, peer.leaving, peer.numbers = time.monotonic(), report.leaving, report.numbers
        return Status(self._facts(), len(self.alive), self.stop)

    def describe(self) -> Description:
        """What anybody may know."""
        return Description(self._store.run, self._ours.name, self._config, self._facts(), len(self.alive))

    @property
    def alive(self) -> list[Peer]:
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


class _Door(flight.ServerMiddlewareFactory):
    """Lets nobody in without the token; a call is refused before anything of it is read."""

    def __init__(self, credentials: Credentials, refuse: Callable[[Exception], None]) -> None:
        self._credentials, self._refuse = credentials, refuse

    def start_call(self, info: Any, headers: dict[str, list[str]]) -> None:
        del info
        values = headers.get("authorization", [])
        token = values[0].removeprefix("Bearer ") if values else None
        if not self._credentials.may_enter(token):
            error = flight.FlightUnauthenticatedError("The token is wrong." if token else "A token is needed.")
            self._refuse(error)
            raise error


class Service(flight.FlightServerBase):
    """An exchange on a port.

    Args:
        address: where to listen; port 0 takes a free one, `port` says which. Outside loopback the credentials must
            hold a token, a certificate and its key.
        credentials: what callers have to show, and what is shown to them.
    """

    def __init__(self, exchange: Exchange, spec: ExperienceSpec, address: Address, credentials: Credentials) -> None:
        check_address(address, credentials)
        self._exchange, self._spec = exchange, spec
        encrypted = credentials.certificate is not None
        try:
            super().__init__(
                f"grpc{'+tls' if encrypted else ''}://{address}",
                tls_certificates=[(credentials.certificate, credentials.key)] if encrypted else None,
                middleware={"door": _Door(credentials, exchange.refuse)},
            )
        except (pa.ArrowException, OSError) as error:
            raise HilserlError(f"Cannot listen on {address}: {error}") from error

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> Iterator[flight.Result]:
        del context
        exchange = self._exchange
        with _telling(exchange):
            body = memoryview(action.body)
            match action.type:
                case "hello":
                    answer = exchange.hello(decode(body, Hello))
                case "report":
                    answer = exchange.report(decode(body, Report))
                case "describe":
                    answer = exchange.describe()
                case other:
                    raise RefusedError(f"There is no action {other[:50]!r}; there is: hello, report, describe.")
            return iter([flight.Result(pa.py_buffer(encode(answer)))])

    def do_put(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        del context
        with _telling(self._exchange):
            put = decode(descriptor.command or b"", PutHeader)
            check_schema(reader.schema, self._spec)
            for messages in _together(reader):
                stored = [self._exchange.take(put, entry, batch) for entry, batch in _joined(messages)]
                writer.write(pa.py_buffer(encode(stored[-1])))

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> flight.RecordBatchStream:
        del context
        with _telling(self._exchange):
            found = self._exchange.weights(decode(ticket.ticket, WeightsWanted))
            return flight.RecordBatchStream(_weights_table(found))


_Message = tuple[EntryHeader, pa.RecordBatch]


def _together(reader: flight.MetadataRecordBatchReader) -> Iterator[list[_Message]]:
    """The messages of a put, those that one acknowledgement will do for together; never many steps."""
    messages: list[_Message] = []
    for chunk in reader:
        check_rows(chunk.data)
        entry = decode(memoryview(chunk.app_metadata or b""), EntryHeader)
        messages.append((entry, chunk.data))
        if not entry.more or sum(batch.num_rows for _, batch in messages) >= MAX_ROWS or len(messages) == MAX_ROWS:
            yield messages
            messages = []
    if messages:
        yield messages


def _joined(messages: Sequence[_Message]) -> Iterator[_Message]:
    """Messages whose steps follow each other as one: it goes to the disk in one piece."""
    entry, batches, rows = messages[0][0], [messages[0][1]], messages[0][1].num_rows
    for later, batch in messages[1:]:
        if entry.discard is None and later.discard is None and later.first == entry.first + rows:
            batches.append(batch)
            rows += batch.num_rows
            continue
        yield entry, pa.concat_batches(batches)
        entry, batches, rows = later, [batch], batch.num_rows
    yield entry, pa.concat_batches(batches)


def _weights_table(found: tuple[int, bytes] | None) -> pa.Table:
    """One row, or none; the weights are not copied."""
    if found is None:
        return WEIGHTS_SCHEMA.empty_table()
    version, data = found
    offsets = pa.array([0, len(data)], pa.int64()).buffers()[1]
    column = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)])
    return pa.Table.from_arrays([pa.array([version], pa.int64()), column], schema=WEIGHTS_SCHEMA)


@contextlib.contextmanager
def _telling(exchange: Exchange) -> Iterator[None]:
    """Turns what goes wrong in a call into what the caller is told, and counts it."""
    try:
        yield
    except UnreachableError as error:
        raise flight.FlightUnavailableError(str(error)) from error
    except (HilserlError, pa.ArrowInvalid) as error:
        exchange.refuse(error)
        raise pa.ArrowInvalid(str(error)) from error


def check_address(address: Address, credentials: Credentials) -> None:
    """Raises HilserlError where a learner must not, or cannot, listen.

    Where somebody listens already the transport would share the port with them in silence.
    """
    check_listening(address, credentials)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        # A port whose last connections are only being waited for is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise HilserlError(f"Cannot listen on {address}: {error.strerror}.") from error
