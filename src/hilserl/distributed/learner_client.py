"""Client of a learner, with deadlines and backoff."""

import os
import random
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import grpc

from hilserl.address import Address
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.protocol import (
    MAX_ROWS,
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
    pack_put,
)
from hilserl.distributed.weights import Weights, unpack_weights
from hilserl.errors import HilserlError

# Its library prints every failed handshake, which callers are told of by an error.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

CALL_S = 10.0
"""Deadline of every call, in seconds."""
_FORGOTTEN_S = 2.0
_IN_FLIGHT = 2
"""Puts on their way at once.

The learner checks one while its disk writes the other."""
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
        self._channel: grpc.Channel | None = None
        self._metadata = (("authorization", f"Bearer {credentials.token}"),) if credentials.token else ()

    def _call(self, name: str, request: bytes) -> bytes:
        return self._answer(self._begin(name, request))

    def _begin(self, name: str, request: bytes) -> Any:
        """Begin a call of a method.

        After an error the next call opens another connection.
        """
        if self._channel is None:
            self._channel = self._connected()
        method = self._channel.unary_unary(f"/{SERVICE}/{name}")
        return method.future(request, timeout=self._deadline_s, metadata=self._metadata)

    def _answer(self, call: Any) -> bytes:
        """Wait for a call's answer; an error ends all calls."""
        try:
            # The transport ends a call at its deadline; an actor must go on even if it forgets to.
            return call.result(timeout=self._deadline_s + _FORGOTTEN_S)
        except grpc.FutureTimeoutError as error:
            self.close()
            raise UnreachableError(f"The learner at {self._address} does not answer: no end of a call.") from error
        except grpc.RpcError as error:
            self.close()
            raise self._explained(error) from error

    def _connected(self) -> grpc.Channel:
        options = [
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", _MAX_ANSWER_BYTES),
            ("grpc.enable_http_proxy", 0),
        ]
        if self._credentials.certificate is None:
            return grpc.insecure_channel(str(self._address), options)
        trusted = grpc.ssl_channel_credentials(self._credentials.certificate)
        return grpc.secure_channel(str(self._address), trusted, options)

    def _explained(self, error: Any) -> HilserlError:
        """Turn an error of the transport into ours."""
        code, said = error.code(), error.details() or error.code().name.lower()
        if code in _REFUSALS or _TOO_LARGE in said:
            return ProtocolError(f"The learner at {self._address} refuses: {said}")
        if any(sign in said.lower() for sign in _UNTRUSTED):
            return ProtocolError(f"The certificate of {self._address} is not to be trusted: {said}")
        said = said.split("last error: ")[-1].rstrip(".")
        hint = "" if self._address.is_loopback or self._credentials.certificate else " Are --credentials missing?"
        return UnreachableError(f"The learner at {self._address} does not answer: {said}.{hint}")

    def _ask(self, name: str, message: Any, answer: type[_T]) -> _T:
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
        return unpack_weights(self._call("weights", encode(WeightsWanted(life, newer_than, within_s))))

    def put(self, header: PutHeader, messages: Iterable[Sequence[LogEntry]]) -> Iterator[int]:
        """Send entries; yield the numbers up to which they are stored."""
        calls: deque[Any] = deque()
        last = 0
        for entries in together(messages):
            calls.append(self._begin("put", pack_put(replace(header, after=last if calls else 0), entries)))
            last = entries[-1].number
            if len(calls) == _IN_FLIGHT:
                yield decode(self._answer(calls.popleft()), Stored).upto
        for call in calls:
            yield decode(self._answer(call), Stored).upto

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._channel is not None:
            channel, self._channel = self._channel, None
            channel.close()


def together(messages: Iterable[Sequence[LogEntry]]) -> Iterator[list[LogEntry]]:
    """Join messages that share an acknowledgement."""
    entries: list[LogEntry] = []
    size = 0
    for message in messages:
        if len(entries) + len(message) > MAX_ROWS:
            yield entries
            entries, size = [], 0
        entries += message
        size += sum(len(entry.payload or b"") for entry in message)
        if size >= TOGETHER_BYTES:
            yield entries
            entries, size = [], 0
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
