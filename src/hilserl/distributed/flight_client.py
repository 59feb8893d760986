"""A line from an actor to a learner: each call has a deadline, each failure is one that passes or one that stays."""

import contextlib
import random
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pyarrow as pa
from pyarrow import flight

from hilserl.address import Address
from hilserl.distributed.credentials import Credentials
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
    decode,
    encode,
)
from hilserl.distributed.weights import Weights, from_batches

CALL_S = 10.0
"""Deadline of every call."""
_TOGETHER = 8
"""How many messages are acknowledged together, at most."""
TOGETHER_BYTES = 2_000_000
"""What is acknowledged together: so little that a slow network gets it across within a call's deadline."""
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 0.1, 2.0
_UNTRUSTED = ("certificate_verify_failed", "certificate verify failed", "wrong_version_number", "wrong version number")
_UNTRUSTED += ("peer name", "hostname verification check failed")
_T = TypeVar("_T")


class LearnerClient:
    """Calls to a learner, each with a deadline. One thread uses it.

    Raises UnreachableError for what may go better later, RefusedError for what will not.
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
        """A client, made anew after every failure, so that nothing of a broken connection is waited for."""
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
        return self._ask("describe", {}, Description)

    def hello(self, hello: Hello) -> Welcome:
        return self._ask("hello", hello, Welcome)

    def report(self, report: ActorReport) -> LearnerStatus:
        return self._ask("report", report, LearnerStatus)

    def weights(self, life: int, newer_than: int, within_s: float) -> Weights | None:
        """Weights newer than a version of a life, or of another life; None where none came within the time."""
        with self._connected() as client:
            ticket = flight.Ticket(encode(WeightsWanted(life, newer_than, within_s)))
            return from_batches(chunk.data for chunk in client.do_get(ticket, self._options()))

    def put(
        self, header: PutHeader, messages: Iterable[tuple[EntryHeader, pa.RecordBatch]], schema: pa.Schema
    ) -> Iterator[int]:
        """Sends messages and tells, every few of them, up to which number the learner has stored them."""
        with self._connected() as client:
            descriptor = flight.FlightDescriptor.for_command(encode(header))
            writer, reader = client.do_put(descriptor, schema, self._options())
            groups = unanswered = unanswered_bytes = 0
            for entry, batch in messages:
                unanswered, unanswered_bytes = unanswered + 1, unanswered_bytes + batch.nbytes
                more = unanswered < _TOGETHER and unanswered_bytes < TOGETHER_BYTES
                writer.write_with_metadata(batch, encode(replace(entry, more=more)))
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
            # Raises what the learner said, where it ended the call.
            writer.close()

    def _acknowledged(self, reader: flight.FlightMetadataReader) -> Iterator[int]:
        """The next acknowledgement; none where the learner has ended the call, which closing the call explains."""
        if (answer := reader.read()) is not None:
            yield decode(memoryview(answer), Stored).upto

    def close(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            client.close()


def _said(error: Exception) -> str:
    """The learner's own words, or the network's, without the transport's around them."""
    text = str(error).split(". gRPC client debug context")[0].split(". Detail:")[0]
    return text.split("with message: ")[-1].split("last error: ")[-1]


class Backoff:
    """Waits longer after each failure in a row, up to a limit, and never in step with others."""

    def __init__(self) -> None:
        self._next_s = _FIRST_BACKOFF_S

    def wait(self, stop: threading.Event) -> None:
        """Waits, unless it is to stop."""
        stop.wait(self._next_s * random.uniform(0.5, 1.0))  # noqa: S311 - nothing secret
        self._next_s = min(2 * self._next_s, _LONGEST_BACKOFF_S)

    def pause(self) -> None:
        """Waits in any case."""
        self.wait(threading.Event())

    def reset(self) -> None:
        self._next_s = _FIRST_BACKOFF_S
