"""HTTP server in front of an arm: Flask's routes behind waitress."""

import contextlib
import logging
import socket
import threading
import time
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from flask import Flask, Response, g, jsonify, request
from typing_extensions import override
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.wasyncore import close_all
from werkzeug.exceptions import HTTPException

from hilserl.address import Address
from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Backend, LostError
from hilserl.robot.http.access import Access
from hilserl.robot.http.cut_ways import CutWayNotice
from hilserl.robot.http.extra_routes import STOP_PORT, add_extra_routes, add_sim_routes
from hilserl.robot.http.hil_serl_routes import CONTROLLED, add_commands, add_reads, add_refusals
from hilserl.robot.http.lease import Client, HeldError, Lease
from hilserl.robot.http.metrics import RequestMetrics
from hilserl.robot.http.stop_server import StopServer

CLIENT_HEADER = "X-Client"
"""Header in which a client names itself."""
LEASE_HEADER = "X-Lease"
"""Header with a client's secret, by which it keeps the lease."""
WARNING_HEADER = "X-Warning"
"""Header of a command's answer, after a pose that was not reached."""
MAX_BODY_BYTES, _MAX_HEADER_BYTES = 16_384, 16_384
REQUEST_TIMEOUT_S = 10
"""Time within which a request has to be complete."""
MAX_CONNECTIONS_OF_AN_ADDRESS = 100
_THREADS, _CONNECTIONS = 8, 400
_STATUS: dict[type[HilserlError], int] = {HilserlError: 400, ArmStateError: 409, HeldError: 409, LostError: 503}


def check_listening(address: Address, token: str | None) -> None:
    """Raise HilserlError if other machines could reach the arm without a token."""
    if not address.is_loopback and not token:
        raise HilserlError(
            f"Other machines can reach {address}, so the server needs a token. Set HILSERL_TOKEN to a long random text "
            "here; clients send it as the header Authorization: Bearer TOKEN."
        )


def make_app(backend: Backend, access: Access | None = None, lease: Lease | None = None, stop_port: int = 0) -> Flask:
    """Make the WSGI application with all routes."""
    app = Flask("hilserl.robot", static_folder=None)
    lease, metrics = lease or Lease(), RequestMetrics()
    add_reads(app, backend)
    add_commands(app, backend, metrics)
    add_refusals(app)
    add_extra_routes(app, backend, lease, metrics, _client)
    app.config[STOP_PORT] = stop_port
    add_sim_routes(app, backend)
    _guard(app, access or Access(), lease)
    _measure(app, metrics)
    _warn(app, CutWayNotice(backend))
    for kind, status in _STATUS.items():
        app.register_error_handler(kind, lambda error, status=status: (jsonify(error=str(error)), status))
    app.register_error_handler(HTTPException, _explain)
    return app


def _client() -> Client:
    """Return the client of the present request.

    HIL-SERL's clients have neither secret nor name: they are the address of their machine.
    """
    address, headers = request.remote_addr or "unknown", request.headers
    return Client(headers.get(LEASE_HEADER, "") or address, headers.get(CLIENT_HEADER, "")[:64] or address)


def _guard(app: Flask, access: Access, lease: Lease) -> None:
    """Check browser, host, token and lease before every request."""

    @app.before_request
    def check() -> tuple[Response, int] | None:
        if refused := access.refusal({name.lower(): value for name, value in request.headers.items()}):
            return jsonify(error=refused[1]), refused[0]
        if request.endpoint and request.endpoint.startswith(CONTROLLED):
            lease.claim(_client())
        return None


def _measure(app: Flask, metrics: RequestMetrics) -> None:
    @app.before_request
    def begin() -> None:
        g.begun_s = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        # Not counted: requests that were refused before `begin`, and unknown routes, whose names are unlimited.
        if request.endpoint and "begun_s" in g:
            route = request.endpoint.removeprefix(CONTROLLED)
            metrics.record(route, response.status_code, time.perf_counter() - g.begun_s)
        return response


def _warn(app: Flask, notice: CutWayNotice) -> None:
    """Tell the controlling client of poses that were not reached."""

    @app.after_request
    def tell(response: Response) -> Response:
        is_command = request.endpoint and request.endpoint.startswith(CONTROLLED)
        if is_command and response.status_code == HTTPStatus.OK and (warning := notice.fresh()):
            response.headers[WARNING_HEADER] = warning
        return response


def _explain(error: HTTPException) -> tuple[Response, int]:
    """Put errors of Flask and waitress into the usual form."""
    methods = getattr(error, "valid_methods", None)
    allowed = f" Available: {', '.join(sorted(methods))}." if methods else ""
    return jsonify(error=f"{request.method} {request.path}: {error.name}.{allowed}"), error.code or 500


class _Channel(HTTPChannel):
    """Connection with a limit on the time of a whole request.

    Bytes that keep coming do not prolong it. An address has a limited number of connections.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # The server's channels are in the order of their arrival.
        channels: Any = self.server.active_channels
        of_host = [each for each in channels.values() if each.addr[0] == self.addr[0]]
        if len(of_host) > MAX_CONNECTIONS_OF_AN_ADDRESS:
            # The oldest connection that waits for nothing makes room.
            idle = next((each for each in of_host if not each.requests and not each.will_close), None)
            if idle is not None:
                idle.will_close = True

    @override
    def handle_read(self) -> None:
        before = self.last_activity
        super().handle_read()
        if self.request is not None:
            self.last_activity = before


class RobotServer:
    """Server that listens at once and serves while it is entered.

    POST /stop has a port and a process of its own beside it.

    Args:
        backend: the arm.
        address: address to listen on; port 0 takes a free one.
        token: token that clients have to send.
        request_timeout_s: time within which a request has to be complete.
        stop_port: port of the stop; None takes the one after the server's, or any free one if that is taken.

    Raises:
        HilserlError: an address is in use, or other machines could reach it without a token.
    """

    def __init__(
        self,
        backend: Backend,
        address: Address,
        token: str | None = None,
        request_timeout_s: int = REQUEST_TIMEOUT_S,
        stop_port: int | None = None,
    ) -> None:
        check_listening(address, token)
        # It warns of busy moments, which /metrics shows as well.
        logging.getLogger("waitress").setLevel(logging.ERROR)
        self._backend, self._access = backend, Access(token, (address.host.lower(),))
        listening = _listen(address)
        self.address = Address(address.host, listening.getsockname()[1])
        self._stop_socket = _listen_beside(self.address, stop_port)
        self.stop_address = Address(address.host, self._stop_socket.getsockname()[1])
        """Address of the stop."""
        self._stop: StopServer | None = None
        self._sockets: dict[int, Any] = {}
        # Typeshed describes an older version.
        self._server: Any = create_server(
            make_app(backend, self._access, stop_port=self.stop_address.port),
            map=self._sockets,
            sockets=[listening],
            threads=_THREADS,
            connection_limit=_CONNECTIONS,
            channel_timeout=request_timeout_s,
            cleanup_interval=1,
            max_request_body_size=MAX_BODY_BYTES,
            max_request_header_size=_MAX_HEADER_BYTES,
            ident=None,
            clear_untrusted_proxy_headers=True,
        )
        self._server.channel_class = _Channel
        self._thread = threading.Thread(target=self._run, name="http")

    def _run(self) -> None:
        self._server.run()
        self._server.task_dispatcher.shutdown()

    @property
    def is_serving(self) -> bool:
        """True while the server, and the stop beside it, answer requests."""
        return self._thread.is_alive() and self._stop is not None and self._stop.is_serving

    def __enter__(self) -> Self:
        self._stop = StopServer(self._backend.stop_memory, self._stop_socket, self._access)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stop is not None:
            self._stop.close()
        if self._thread.is_alive():
            # This runs in the server's own thread, between two rounds of its loop, which ends once it has no sockets.
            # If another event wakes the loop first, the trigger's socket may be closed already.
            with contextlib.suppress(OSError):
                self._server.trigger.pull_trigger(lambda: close_all(self._sockets, ignore_all=True))
            self._thread.join()


def _listen(address: Address) -> socket.socket:
    try:
        return socket.create_server(
            (address.host, address.port), family=socket.AF_INET6 if ":" in address.host else socket.AF_INET
        )
    except OSError as error:
        raise HilserlError(f"Cannot listen on {address}: {error}") from error


def _listen_beside(address: Address, port: int | None) -> socket.socket:
    """Listen on a port, by default the next one."""
    if port is not None:
        return _listen(Address(address.host, port))
    with contextlib.suppress(HilserlError, OverflowError):
        return _listen(Address(address.host, address.port + 1))
    return _listen(Address(address.host, 0))
