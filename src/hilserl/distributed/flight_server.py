"""Arrow Flight server of a learner's exchange.

Guarantees to the actors:

* A step is acknowledged only when it is on the learner's disk; it is there once, in order within its episode.
* Weights are the newest ones when the answer is written. An actor never gets an older version after a newer one,
  unless the learner itself went back to an older checkpoint.
* An invalid request is refused, and its caller is told the reason; other callers do not notice.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pyarrow as pa
from pyarrow import flight

from hilserl.address import Address
from hilserl.distributed.credentials import Credentials, check_listening
from hilserl.distributed.durable_log import LogError
from hilserl.distributed.exchange import Batch, Exchange
from hilserl.distributed.protocol import (
    MAX_ROWS,
    ActorReport,
    Hello,
    LogEntry,
    MessageHeader,
    ProtocolError,
    PutHeader,
    TransientError,
    WeightsWanted,
    codec_of,
    decode,
    encode,
    entries_in,
)
from hilserl.distributed.weights import to_table
from hilserl.errors import HilserlError
from hilserl.interrupt import CONNECTION_CLOSER

_LEAVING_S = 3.0


class TokenAuth(flight.ServerMiddlewareFactory):
    """Check of the token, before anything else of a call is read."""

    def __init__(self, credentials: Credentials, refuse: Callable[[Exception], None]) -> None:
        self._credentials, self._refuse = credentials, refuse

    def start_call(self, info: Any, headers: dict[str, list[str]]) -> None:
        """Refuse a call without the token."""
        del info
        values = headers.get("authorization", [])
        token = values[0].removeprefix("Bearer ") if values else None
        if not self._credentials.may_enter(token):
            error = flight.FlightUnauthenticatedError("The token is wrong." if token else "A token is needed.")
            self._refuse(error)
            raise error


class LearnerServer(flight.FlightServerBase):
    """Flight server of an exchange.

    Args:
        exchange: Exchange to serve.
        address: Address to listen on; port 0 takes a free one, which `port` tells. Outside loopback the credentials
            must hold a token, a certificate and its key.
        credentials: Token that callers must show, and certificate that is shown to them.

    Raises:
        HilserlError: The server must not, or cannot, listen on the address.
    """

    def __init__(self, exchange: Exchange, address: Address, credentials: Credentials) -> None:
        check_address(address, credentials)
        self._exchange = exchange
        encrypted = credentials.certificate is not None
        try:
            super().__init__(
                f"grpc{'+tls' if encrypted else ''}://{address}",
                tls_certificates=[(credentials.certificate, credentials.key)] if encrypted else None,
                middleware={"token": TokenAuth(credentials, exchange.refuse)},
            )
        except (pa.ArrowException, OSError) as error:
            raise HilserlError(f"Cannot listen on {address}: {error}") from error

    def shutdown(self) -> None:
        """Stop when every call has ended, after 3 s at the latest."""
        ending = threading.Thread(target=super().shutdown, name=CONNECTION_CLOSER, daemon=True)
        ending.start()
        ending.join(_LEAVING_S)

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> Iterator[flight.Result]:
        """Answer a hello, a report or a request to describe the run."""
        del context
        exchange = self._exchange
        with _telling(exchange):
            body = memoryview(action.body)
            match action.type:
                case "hello":
                    answer = exchange.hello(decode(body, Hello))
                case "report":
                    answer = exchange.report(decode(body, ActorReport))
                case "describe":
                    answer = exchange.describe()
                case other:
                    raise ProtocolError(f"There is no action {other[:50]!r}; there is: hello, report, describe.")
            return iter([flight.Result(pa.py_buffer(encode(answer)))])

    def do_put(
        self,
        context: flight.ServerCallContext,
        descriptor: flight.FlightDescriptor,
        reader: flight.MetadataRecordBatchReader,
        writer: flight.FlightMetadataWriter,
    ) -> None:
        """Store entries and acknowledge them."""
        del context
        with _telling(self._exchange):
            put = decode(descriptor.command or b"", PutHeader)
            codec = codec_of(reader.schema, self._exchange.log.codecs)

            def store(batches: Sequence[Batch]) -> None:
                writer.write(pa.py_buffer(encode(self._exchange.store(put, codec, batches))))

            # While one group waits for the disk the next one is read.
            with ThreadPoolExecutor(1, "store") as storing:
                stored: Future[None] | None = None
                for entries in _acknowledged_together(reader):
                    batches = self._exchange.read(codec, entries)
                    if stored:
                        stored.result()
                    stored = storing.submit(store, batches)
                if stored:
                    stored.result()

    def do_get(self, context: flight.ServerCallContext, ticket: flight.Ticket) -> flight.RecordBatchStream:
        """Send newer weights."""
        del context
        with _telling(self._exchange):
            found = self._exchange.weights(decode(ticket.ticket, WeightsWanted))
            return flight.RecordBatchStream(to_table(found))


def _acknowledged_together(reader: flight.MetadataRecordBatchReader) -> Iterator[list[LogEntry]]:
    """Yield the entries of those messages that share an acknowledgement; never many."""
    entries: list[LogEntry] = []
    for chunk in reader:
        if chunk.data is None:
            raise ProtocolError("A message has no entries.")
        header = decode(memoryview(chunk.app_metadata or b""), MessageHeader)
        entries += entries_in(chunk.data)
        if not header.more or len(entries) >= MAX_ROWS:
            yield entries
            entries = []
    if entries:
        yield entries


@contextlib.contextmanager
def _telling(exchange: Exchange) -> Iterator[None]:
    """Turn an error into the caller's answer; count permanent ones."""
    try:
        yield
    except (TransientError, LogError) as error:
        raise flight.FlightUnavailableError(str(error)) from error
    except (HilserlError, pa.ArrowInvalid) as error:
        exchange.refuse(error)
        raise pa.ArrowInvalid(str(error)) from error


def check_address(address: Address, credentials: Credentials) -> None:
    """Raise HilserlError if a learner cannot listen on an address.

    Flight would silently share a port on which another process listens already.
    """
    check_listening(address, credentials)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        # A port whose closed connections the system still remembers is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise HilserlError(f"Cannot listen on {address}: {error.strerror}.") from error
