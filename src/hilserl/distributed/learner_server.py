"""gRPC server of a learner's exchange.

Guarantees to the actors:

* A step is acknowledged only when it is on the learner's disk; it is there once, in order within its episode.
* Weights are the newest ones when the answer is written. An actor never gets an older version after a newer one,
  unless the learner itself went back to an older checkpoint.
* An invalid request is refused, and its caller is told the reason; other callers do not notice.
* Requests have a largest number and size, which are checked before anything is unpacked.
"""

import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from typing_extensions import override

from hilserl.address import Address
from hilserl.distributed.credentials import Credentials, check_listening
from hilserl.distributed.durable_log import LogError
from hilserl.distributed.exchange import Exchange
from hilserl.distributed.protocol import (
    METHODS,
    SERVICE,
    TOGETHER_BYTES,
    ActorReport,
    Hello,
    ProtocolError,
    Stored,
    TransientError,
    WeightsWanted,
    codec_of,
    decode,
    encode,
    unpack_entries,
    unpack_put,
)
from hilserl.distributed.weights import pack_weights
from hilserl.errors import HilserlError
from hilserl.interrupt import CONNECTION_CLOSER

MAX_CALLS = 48
"""Calls that are served at once; an actor has four."""
_CALLS_OF_A_CONNECTION = 16
_LONGEST_CONNECTION_MS, _GRACE_MS = 60_000, 30_000
"""Age at which a connection is closed; time for its last calls."""
_IDENTITY_ONLY = 1
"""Bit set of the allowed compressions. A compressed message would be unpacked before its size is known."""
_LEAVING_S = 3.0
_MAX_REASON = 2000
_log = logging.getLogger(__name__)


class TokenAuth(grpc.ServerInterceptor):
    """Check of the token, before anything else of a call is read."""

    def __init__(self, credentials: Credentials, refuse: Callable[[Exception], None]) -> None:
        self._credentials, self._refuse = credentials, refuse

    @override
    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Refuse a call without the token."""
        values = [value for name, value in handler_call_details.invocation_metadata if name == "authorization"]
        token = values[0].removeprefix("Bearer ") if values else None
        if self._credentials.may_enter(token):
            return continuation(handler_call_details)
        reason = "The token is wrong." if token else "A token is needed."

        def refuse(request: object, context: grpc.ServicerContext) -> None:
            del request
            self._refuse(ProtocolError(reason))
            context.abort(grpc.StatusCode.UNAUTHENTICATED, reason)

        return grpc.unary_unary_rpc_method_handler(refuse)


class LearnerServer:
    """Server of an exchange; it serves at once.

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
        largest = TOGETHER_BYTES + 2 * max(codec.step_bytes for codec in exchange.log.codecs)
        self._threads = ThreadPoolExecutor(MAX_CALLS, CONNECTION_CLOSER)
        self._server = grpc.server(
            self._threads,
            interceptors=[TokenAuth(credentials, exchange.refuse)],
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", largest),
                ("grpc.max_concurrent_streams", _CALLS_OF_A_CONNECTION),
                ("grpc.max_connection_age_ms", _LONGEST_CONNECTION_MS),
                ("grpc.max_connection_age_grace_ms", _GRACE_MS),
                ("grpc.compression_enabled_algorithms_bitset", _IDENTITY_ONLY),
            ],
            maximum_concurrent_rpcs=MAX_CALLS,
        )
        self._server.add_generic_rpc_handlers([_handlers(_Calls(exchange))])
        self.port = self._listen(address, credentials)
        """Port that it listens on."""
        self._server.start()

    def _listen(self, address: Address, credentials: Credentials) -> int:
        try:
            if credentials.certificate is None or credentials.key is None:
                port = self._server.add_insecure_port(str(address))
            else:
                shown = grpc.ssl_server_credentials([(credentials.key, credentials.certificate)])
                port = self._server.add_secure_port(str(address), shown)
        except (RuntimeError, ValueError) as error:
            raise HilserlError(f"Cannot listen on {address}: {error}") from error
        if not port:
            raise HilserlError(f"Cannot listen on {address}: the certificate or the address cannot be used.")
        return port

    def shutdown(self) -> None:
        """Stop when every call has ended, after 3 s at the latest."""
        self._server.stop(_LEAVING_S).wait(2 * _LEAVING_S)
        self._threads.shutdown(wait=False)


class _Calls:
    """Answers to the calls of `METHODS`."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def hello(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Begin a session."""
        return self._answer(context, lambda: encode(self._exchange.hello(decode(request, Hello))))

    def report(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Note a sign of life."""
        return self._answer(context, lambda: encode(self._exchange.report(decode(request, ActorReport))))

    def describe(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Describe the run."""
        del request
        return self._answer(context, lambda: encode(self._exchange.describe()))

    def weights(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Send newer weights, if they come in time."""
        return self._answer(context, lambda: pack_weights(self._exchange.weights(decode(request, WeightsWanted))))

    def put(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        """Store entries and acknowledge them."""
        return self._answer(context, lambda: encode(self._stored(request)))

    def _stored(self, request: bytes) -> Stored:
        put, rest = unpack_put(request)
        codec = codec_of(put.layout, self._exchange.log.codecs)
        return self._exchange.store(put, codec, self._exchange.read(codec, unpack_entries(rest)))

    def _answer(self, context: grpc.ServicerContext, answer: Callable[[], bytes]) -> bytes:
        """Return the caller's answer, or end the call with the error.

        Permanent errors are counted.
        """
        try:
            return answer()
        except (TransientError, LogError) as error:
            code, said = grpc.StatusCode.UNAVAILABLE, str(error)
        except HilserlError as error:
            self._exchange.refuse(error)
            code, said = grpc.StatusCode.INVALID_ARGUMENT, str(error)
        except Exception:  # noqa: BLE001 - it is logged, and the caller is told
            _log.exception("A call of an actor failed")
            code, said = grpc.StatusCode.INTERNAL, "This is a bug in the learner; its log has the traceback."
        context.abort(code, said[:_MAX_REASON])
        raise AssertionError  # abort raises


def _handlers(calls: _Calls) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        SERVICE, {name: grpc.unary_unary_rpc_method_handler(getattr(calls, name)) for name in METHODS}
    )


def check_address(address: Address, credentials: Credentials) -> None:
    """Raise HilserlError if a learner cannot listen on an address."""
    check_listening(address, credentials)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        # A port whose closed connections the system still remembers is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise HilserlError(f"Cannot listen on {address}: {error.strerror}.") from error
