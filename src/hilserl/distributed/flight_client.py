"""Client of a learner, with deadlines and backoff."""

import contextlib
import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import flight

from hilserl.address import Address
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.protocol import (
    ActorReport,
    Description,
    Hello,
    LearnerStatus,
    LogEntry,
    MessageHeader,
    ProtocolError,
    PutHeader,
    Stored,
    UnreachableError,
    WeightsWanted,
    Welcome,
    decode,
    encode,
    put_schema,
    to_message,
)
from hilserl.distributed.weights import Weights, from_batches

CALL_S = 10.0
"""Deadline of every call, in seconds."""
_TOGETHER = 8
"""Largest number of messages that share an acknowledgement."""
TOGETHER_BYTES = 2_000_000
"""Bytes that share an acknowledgement: few enough for a slow network."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.1, 2.0
_UNTRUSTED = ("certificate_verify_failed", "certificate verify failed", "wrong_version_number", "wrong version number")
_UNTRUSTED += ("peer name", "hostname verification check failed")
_T = TypeVar("_T")


class LearnerClient:
    """Calls to a learner, each with a deadline; for one thread.

    Args:
        address: Address of the learner.
        credentials: Token that the learner wants, and certificate that the caller trusts.
        deadline_s: Deadline of each call, in seconds.

    Raises:
        UnreachableError: A transient error: the learner does not answer or cannot serve now.
        ProtocolError: A permanent error: the learner refuses, or its answer cannot be read.
    """

    def __init__(self, address: Address, credentials: Credentials, deadline_s: float = CALL_S) -> None:
        self._address, self._credentials, self._deadline_s = address, credentials, deadline_s
        self._client: flight.FlightClient | None = None

    def _options(self) -> flight.FlightCallOptions:
        token = self._credentials.token
        headers = [(b"authorization", f"Bearer {token}".encode())] if token else []
        return flight.FlightCallOptions(timeout=self._deadline_s, headers=headers)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[flight.FlightClient]:
        """Yield a client; after a failure the next one opens another connection."""
        try:
            if self._client is None:
                encrypted = self._credentials.certificate is not None
                self._client = flight.FlightClient(
                    f"grpc{'+tls' if encrypted else ''}://{self._address}",
                    tls_root_certs=self._credentials.certificate,
                    generic_options=[("grpc.use_local_subchannel_pool", 1)],
                )
            yield self._client
        except (flight.FlightUnauthenticatedError, flight.FlightUnauthorizedError, pa.ArrowInvalid) as error:
            self.close()
            raise ProtocolError(f"The learner at {self._address} refuses: {_said(error)}") from error
        except (pa.ArrowException, OSError) as error:
            self.close()
            if any(sign in str(error).lower() for sign in _UNTRUSTED):
                raise ProtocolError(
                    f"The certificate of {self._address} is not to be trusted: {_said(error)}"
                ) from error
            hint = "" if self._address.is_loopback or self._credentials.certificate else " Are --credentials missing?"
            raise UnreachableError(f"The learner at {self._address} does not answer: {_said(error)}.{hint}") from error

    def _ask(self, action: str, message: Any, answer: type[_T]) -> _T:
        with self._connected() as client:
            results = list(client.do_action((action, encode(message)), self._options()))
            return decode(memoryview(results[0].body), answer)

    def describe(self) -> Description:
        """Ask for the run's task, settings and progress."""
        return self._ask("describe", {}, Description)

    def hello(self, hello: Hello) -> Welcome:
        """Begin a session."""
        return self._ask("hello", hello, Welcome)

    def report(self, report: ActorReport) -> LearnerStatus:
        """Send a sign of life."""
        return self._ask("report", report, LearnerStatus)

    def weights(self, life: int, newer_than: int, within_s: float) -> Weights | None:
        """Fetch weights.

        Args:
            life: Life of the learner that `newer_than` belongs to; weights of another life always count as newer.
            newer_than: Version that the caller has.
            within_s: Time to wait for newer weights, in seconds.

        Returns:
            Newest weights; None if none came within the time.
        """
        with self._connected() as client:
            ticket = flight.Ticket(encode(WeightsWanted(life, newer_than, within_s)))
            return from_batches(chunk.data for chunk in client.do_get(ticket, self._options()))

    def put(self, header: PutHeader, codec: StepCodec, messages: Iterable[Sequence[LogEntry]]) -> Iterator[int]:
        """Send entries; yield the numbers up to which they are stored."""
        with self._connected() as client:
            descriptor = flight.FlightDescriptor.for_command(encode(header))
            writer, reader = client.do_put(descriptor, put_schema(codec), self._options())
            groups = unanswered = unanswered_bytes = 0
            for entries in messages:
                batch = to_message(entries, codec)
                unanswered, unanswered_bytes = unanswered + 1, unanswered_bytes + batch.nbytes
                more = unanswered < _TOGETHER and unanswered_bytes < TOGETHER_BYTES
                writer.write_with_metadata(batch, encode(MessageHeader(more)))
                if more:
                    continue
                groups, unanswered, unanswered_bytes = groups + 1, 0, 0
                # While the learner stores one group the next one is on its way.
                if groups > 1:
                    yield from self._acknowledged(reader)
                    groups -= 1
            writer.done_writing()
            for _ in range(groups + (unanswered > 0)):
                yield from self._acknowledged(reader)
            # Raises the learner's error if it ended the call.
            writer.close()

    def _acknowledged(self, reader: flight.FlightMetadataReader) -> Iterator[int]:
        """Yield the next acknowledgement, unless the learner has ended the call."""
        if (answer := reader.read()) is not None:
            yield decode(memoryview(answer), Stored).upto

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._client is not None:
            client, self._client = self._client, None
            client.close()


def _said(error: Exception) -> str:
    """Extract the learner's or the network's message from the transport's."""
    text = str(error).split(". gRPC client debug context")[0].split(". Detail:")[0]
    return text.split("with message: ")[-1].split("last error: ")[-1]


class Backoff:
    """Random waiting time that grows with each failure in a row.

    Args:
        first_s: Waiting time after the first failure, in seconds.
        longest_s: Longest waiting time, in seconds.
    """

    def __init__(self, first_s: float = FIRST_BACKOFF_S, longest_s: float = LONGEST_BACKOFF_S) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self._next_s = first_s

    def wait(self, stop: threading.Event) -> None:
        """Wait, or return early when `stop` is set."""
        stop.wait(self._next_s * random.uniform(0.5, 1.0))  # noqa: S311 - nothing secret
        self._next_s = min(2 * self._next_s, self._longest_s)

    def pause(self) -> None:
        """Wait for the whole time."""
        self.wait(threading.Event())

    def reset(self) -> None:
        """Begin again with the first waiting time; for after a success."""
        self._next_s = self._first_s


@dataclass(frozen=True)
class Timing:
    """Intervals of the connection, in seconds."""

    call_s: float = CALL_S
    """Deadline of a call."""
    heartbeat_s: float = 1.0
    """Interval between signs of life."""
    idle_s: float = 0.2
    """Interval between looks at an empty log."""
    weights_wait_s: float = 1.0
    """Time that one request waits for newer weights."""
    between_weights_s: float = 0.1
    """Pause after new weights; an actor's step cannot use them faster."""
    first_backoff_s: float = FIRST_BACKOFF_S
    """Waiting time after the first failure."""
    longest_backoff_s: float = LONGEST_BACKOFF_S
    """Longest waiting time after a failure."""

    def backoff(self) -> Backoff:
        """Return a backoff with these limits."""
        return Backoff(self.first_backoff_s, self.longest_backoff_s)


def messages_of(entries: Sequence[LogEntry]) -> Iterator[list[LogEntry]]:
    """Split entries into messages of about `TOGETHER_BYTES` at most."""
    message: list[LogEntry] = []
    size = 0
    for entry in entries:
        message.append(entry)
        size += len(entry.payload or b"")
        if size >= TOGETHER_BYTES:
            yield message
            message, size = [], 0
    if message:
        yield message
