"""The learner as a service on the network: Arrow Flight in front of an exchange of steps and weights.

What it promises its actors:
* A step is acknowledged only when it is on the learner's disk, and it is there once, in order within its episode.
* Weights are the newest there are when the answer is written; nobody ever gets an older version after a newer one,
  unless the learner itself began anew from there.
* What one caller does wrong is refused and told to that caller; the others do not notice.
"""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import flight

from hilserl.address import Address
from hilserl.data.spec import ExperienceSpec
from hilserl.distributed.credentials import Credentials, check_listening
from hilserl.distributed.exchange import Exchange
from hilserl.distributed.protocol import (
    MAX_ROWS,
    ActorReport,
    EntryHeader,
    Hello,
    ProtocolError,
    PutHeader,
    UnreachableError,
    WeightsWanted,
    check_rows,
    check_schema,
    decode,
    encode,
)
from hilserl.distributed.weights import to_table
from hilserl.errors import HilserlError
from hilserl.interrupt import CONNECTION_CLOSER

_LEAVING_S = 3.0


class _TokenAuth(flight.ServerMiddlewareFactory):
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
                middleware={"door": _TokenAuth(credentials, exchange.refuse)},
            )
        except (pa.ArrowException, OSError) as error:
            raise HilserlError(f"Cannot listen on {address}: {error}") from error

    def shutdown(self) -> None:
        """Ends the service when every call has ended, or soon; a caller who does not hang up is not waited for."""
        ending = threading.Thread(target=super().shutdown, name=CONNECTION_CLOSER, daemon=True)
        ending.start()
        ending.join(_LEAVING_S)

    def do_action(self, context: flight.ServerCallContext, action: flight.Action) -> Iterator[flight.Result]:
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
            return flight.RecordBatchStream(to_table(found))


_Message = tuple[EntryHeader, pa.RecordBatch]


def _together(reader: flight.MetadataRecordBatchReader) -> Iterator[list[_Message]]:
    """The messages of a put, those that one acknowledgement will do for together; never many steps."""
    messages: list[_Message] = []
    for chunk in reader:
        if chunk.data is None:
            raise ProtocolError("A message has no steps; even a discard comes with an empty batch.")
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
