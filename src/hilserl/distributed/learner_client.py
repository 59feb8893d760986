"""Client of a learner, with deadlines and backoff."""

import contextlib
import os
import random
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc

from hilserl.address import Address
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.protocol import (
    MAX_ROWS,
    METHODS,
    SERVICE,
    TOGETHER_BYTES,
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
    decode,
    encode,
    pack_entries,
)
from hilserl.distributed.weights import Weights, from_parts

# Its library prints every failed handshake, which callers are told of by an error.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

CALL_S = 10.0
"""Deadline of every call, in seconds."""
_TOGETHER = 8
"""Largest number of messages that share an acknowledgement."""
_AHEAD = 2
"""Messages that may be on their way without an acknowledgement."""
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 0.1, 2.0
_MAX_ANSWER_BYTES = 1_000_000_000
_REFUSALS = (
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.INTERNAL,
)
"""Codes of permanent errors."""
_TOO_LARGE = "larger than max"
_UNTRUSTED = ("certificate_verify_failed", "certificate verify failed", "wrong_version_number", "wrong version number")
_UNTRUSTED += ("peer name", "hostname verification check failed")
_T = TypeVar("_T")


class _Connection:
    """A channel with the calls of a learner."""

    def __init__(self, address: Address, credentials: Credentials) -> None:
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
            ("grpc.enable_http_proxy", 0),
        ]
        if credentials.certificate is None:
            self.channel = grpc.insecure_channel(str(address), options)
        else:
            trusted = grpc.ssl_channel_credentials(credentials.certificate)
            self.channel = grpc.secure_channel(str(address), trusted, options)
        kinds = {
            "unary": self.channel.unary_unary,
            "answers": self.channel.unary_stream,
            "both": self.channel.stream_stream,
        }
        self.calls: dict[str, Any] = {name: kinds[kind](f"/{SERVICE}/{name}") for name, kind in METHODS.items()}


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
        self._connection: _Connection | None = None
        self._metadata = [("authorization", f"Bearer {credentials.token}")] if credentials.token else []

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn errors of the transport into ours, and close the connection."""
        try:
            yield
        except grpc.RpcError as error:
            self.close()
            code, said = error.code(), error.details() or error.code().name.lower()  # pyright: ignore
            if code in _REFUSALS or _TOO_LARGE in said:
                raise ProtocolError(f"The learner at {self._address} refuses: {said}") from error
            if any(sign in said.lower() for sign in _UNTRUSTED):
                raise ProtocolError(f"The certificate of {self._address} is not to be trusted: {said}") from error
            said = said.split("last error: ")[-1].rstrip(".")
            hint = "" if self._address.is_loopback or self._credentials.certificate else " Are --credentials missing?"
            raise UnreachableError(f"The learner at {self._address} does not answer: {said}.{hint}") from error

    def _call(self, name: str, request: Any) -> Any:
        if self._connection is None:
            self._connection = _Connection(self._address, self._credentials)
        return self._connection.calls[name](request, timeout=self._deadline_s, metadata=self._metadata)

    def _ask(self, name: str, message: Any, answer: type[_T]) -> _T:
        with self._telling():
            return decode(self._call(name, encode(message)), answer)

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
        with self._telling():
            return from_parts(self._call("weights", encode(WeightsWanted(life, newer_than, within_s))))

    def put(self, header: PutHeader, messages: Iterable[Sequence[LogEntry]]) -> Iterator[int]:
        """Send entries; yield the numbers up to which they are stored."""
        requests = _Requests(header, messages)
        with self._telling():
            answers = self._call("put", iter(requests))
            try:
                for answer in answers:
                    requests.acknowledged()
                    yield decode(answer, Stored).upto
            finally:
                requests.end()
                answers.cancel()

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.channel.close()


class _Requests:
    """Messages of a put, at most `_AHEAD` of them without an acknowledgement.

    The transport takes them in a thread of its own.
    """

    def __init__(self, header: PutHeader, messages: Iterable[Sequence[LogEntry]]) -> None:
        self._header, self._messages = header, messages
        self._room, self._ended = threading.Semaphore(_AHEAD), False

    def __iter__(self) -> Iterator[bytes]:
        yield encode(self._header)
        for entries in _together(self._messages):
            self._room.acquire()
            if self._ended:
                return
            yield pack_entries(entries)

    def acknowledged(self) -> None:
        """Let another message go."""
        self._room.release()

    def end(self) -> None:
        """Let no other message go."""
        self._ended = True
        self._room.release()


def _together(messages: Iterable[Sequence[LogEntry]]) -> Iterator[list[LogEntry]]:
    """Join messages that share an acknowledgement."""
    entries: list[LogEntry] = []
    joined = size = 0
    for message in messages:
        if len(entries) + len(message) > MAX_ROWS:
            yield entries
            entries, joined, size = [], 0, 0
        entries += message
        joined, size = joined + 1, size + sum(len(entry.payload or b"") for entry in message)
        if joined == _TOGETHER or size >= TOGETHER_BYTES:
            yield entries
            entries, joined, size = [], 0, 0
    if entries:
        yield entries


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
