"""The HTTP server in front of an arm: Flask's routes behind waitress."""

import contextlib
import hmac
import logging
import socket
import threading
import time
from types import TracebackType
from typing import Any, Self

from flask import Flask, Response, g, jsonify, request
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.wasyncore import close_all
from werkzeug.exceptions import HTTPException

from hilserl.address import Address
from hilserl.errors import HilserlError
from hilserl.robot.control.backend import ArmStateError, Backend, LostError
from hilserl.robot.drivers.sim.backend import SimBackend
from hilserl.robot.http.extra_routes import add_sim_routes, add_typed_routes
from hilserl.robot.http.hil_serl_routes import CONTROLLED, add_commands, add_reads
from hilserl.robot.http.lease import HeldError, Lease
from hilserl.robot.http.metrics import RequestMetrics

CLIENT_HEADER = "X-Client"
MAX_BODY_BYTES, _MAX_HEADER_BYTES = 16_384, 16_384
_REQUEST_TIMEOUT_S = 10
_THREADS, _CONNECTIONS = 8, 200
_STATUS: dict[type[HilserlError], int] = {HilserlError: 400, ArmStateError: 409, HeldError: 409, LostError: 503}


def check_listening(address: Address, token: str | None) -> None:
    """Raises HilserlError where others could reach an arm without a token."""
    if not address.is_loopback and not token:
        raise HilserlError(
            f"{address} can be reached from outside, so a token is needed; set HILSERL_TOKEN to a long random text "
            "here, and have clients send it as the header Authorization: Bearer TOKEN."
        )


def make_app(backend: Backend, token: str | None = None, lease: Lease | None = None) -> Flask:
    """The routes as a WSGI application."""
    app = Flask("hilserl.robot", static_folder=None)
    lease, tally = lease or Lease(), RequestMetrics()
    add_reads(app, backend)
    add_commands(app, backend, tally)
    add_typed_routes(app, backend, lease, tally, _client)
    if isinstance(backend, SimBackend):
        add_sim_routes(app, backend)
    _guard(app, token, lease)
    _measure(app, tally)
    for kind, status in _STATUS.items():
        app.register_error_handler(kind, lambda error, status=status: (jsonify(error=str(error)), status))
    app.register_error_handler(HTTPException, _explain)
    return app


def _client() -> str:
    """Who is asking: the name it gives itself or, as HIL-SERL's clients give none, the machine it asks from."""
    return request.headers.get(CLIENT_HEADER, "")[:64] or request.remote_addr or "unknown"


def _guard(app: Flask, token: str | None, lease: Lease) -> None:
    """Token, browser and lease, before anything else."""

    @app.before_request
    def check() -> tuple[Response, int] | None:
        # Only browsers send it: a page of some web site must not reach an arm through a browser on this machine.
        if "Origin" in request.headers:
            return jsonify(error="Web pages may not speak to this server."), 403
        shown = request.headers.get("Authorization", "")
        if token and not hmac.compare_digest(shown.encode(), f"Bearer {token}".encode()):
            return jsonify(error="A token is needed: the header Authorization: Bearer TOKEN."), 401
        if request.endpoint and request.endpoint.startswith(CONTROLLED):
            lease.claim(_client())
        return None


def _measure(app: Flask, tally: RequestMetrics) -> None:
    @app.before_request
    def begin() -> None:
        g.begun_s = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        # RefusedError before it was begun, and unknown routes: there is no end to their names.
        if request.endpoint and "begun_s" in g:
            route = request.endpoint.removeprefix(CONTROLLED)
            tally.answered(route, response.status_code, time.perf_counter() - g.begun_s)
        return response


def _explain(error: HTTPException) -> tuple[Response, int]:
    """What Flask and waitress refuse by themselves, in the form of the other refusals."""
    methods = getattr(error, "valid_methods", None)
    allowed = f" It takes {', '.join(sorted(methods))}." if methods else ""
    return jsonify(error=f"{request.method} {request.path}: {error.name}.{allowed}"), error.code or 500


class _Channel(HTTPChannel):
    """A connection on which a request must be whole within the timeout: dribbling is no sign of life."""

    def handle_read(self) -> None:
        before = self.last_activity
        super().handle_read()
        if self.request is not None:
            self.last_activity = before


class RobotServer:
    """Listens once it is made, serves while it is entered.

    Raises HilserlError where the address is taken, or open to others without a token.
    """

    def __init__(self, backend: Backend, address: Address, token: str | None = None) -> None:
        check_listening(address, token)
        # Its warnings tell of busy moments; /metrics does, too.
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        try:
            listening = socket.create_server(
                (address.host, address.port), family=socket.AF_INET6 if ":" in address.host else socket.AF_INET
            )
        except OSError as error:
            raise HilserlError(f"Cannot listen on {address}: {error}") from error
        self.address = Address(address.host, listening.getsockname()[1])
        self._sockets: dict[int, Any] = {}
        # Typeshed describes an older version.
        self._server: Any = create_server(
            make_app(backend, token),
            map=self._sockets,
            sockets=[listening],
            threads=_THREADS,
            connection_limit=_CONNECTIONS,
            channel_timeout=_REQUEST_TIMEOUT_S,
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
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_serving:
            # In the server's own thread, between two rounds of its loop, which ends once it has no sockets. Where
            # something else wakes it first, what it would be woken by is closed already.
            with contextlib.suppress(OSError):
                self._server.trigger.pull_trigger(lambda: close_all(self._sockets, ignore_all=True))
            self._thread.join()
