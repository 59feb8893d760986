"""HTTPS server of the phone's page and its messages."""

import asyncio
import contextlib
import http
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from importlib.resources import files
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from hilserl.errors import HilserlError
from hilserl.operators.page_token import PageToken
from hilserl.operators.phone.messages import MAX_BYTES, parse_message
from hilserl.operators.phone.phone_input import PhoneInput

FIRST_PORT, LAST_PORT = 8443, 8543
REPLACED = 4001
"""Close code of a page after another one was opened."""
_PING_S = 2.0
_PAGES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/hand.js": ("hand.js", "text/javascript; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}
_SOCKET = "/socket"


def listen(host: str, port: int) -> socket.socket:
    """Listen on a port; 0 takes the first free one from 8443.

    Raises:
        HilserlError: the port is taken, or this machine does not have the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    failure: OSError | None = None
    for number in (port,) if port else range(FIRST_PORT, LAST_PORT + 1):
        try:
            return socket.create_server((host, number), family=family)
        except OSError as error:
            failure = error
    raise HilserlError(
        f"The phone's page cannot listen on {host}, port {port or f'{FIRST_PORT} to {LAST_PORT}'}: {failure}. "
        "Choose an address of this machine with --console.phone.host, or a port with --console.phone.port."
    ) from failure


class PhoneServer:
    """Server of the page, in a thread of its own.

    One page drives. A page that is opened later replaces it.

    Args:
        listening: a socket that listens already.
        certificate: TLS settings of the server.
        token: the token of the page.
        received: takes what the page says.
        greeting: returns the message to a page that connects.
    """

    def __init__(
        self,
        listening: socket.socket,
        certificate: ssl.SSLContext,
        token: PageToken,
        received: PhoneInput,
        greeting: Callable[[], str],
    ) -> None:
        self._socket, self._certificate, self._token = listening, certificate, token
        self._input, self._greeting = received, greeting
        self._page: ServerConnection | None = None
        self._loop = asyncio.new_event_loop()
        self._closing = asyncio.Event()
        # It writes every scan of the port, and every phone that does not trust the certificate, with a traceback.
        self._logger = logging.getLogger("hilserl.operators.phone.connections")
        self._logger.setLevel(logging.CRITICAL)
        self._thread = threading.Thread(target=self._run, name="phone", daemon=True)
        self._thread.start()

    def send(self, text: str) -> None:
        """Send a message to the page, if one is open, without waiting."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._send, text)

    def close(self) -> None:
        """Close the page's connection and the server."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        finally:
            self._input.lose()

    async def _serve(self) -> None:
        async with serve(
            self._receive,
            sock=self._socket,
            ssl=self._certificate,
            process_request=self._answer,
            max_size=MAX_BYTES,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            close_timeout=1.0,
            logger=self._logger,
        ):
            await self._closing.wait()

    def _send(self, text: str) -> None:
        broadcast([self._page] if self._page is not None else [], text)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request, or let the page's WebSocket pass."""
        if refusal := self._token.refusal(request):
            status, sentence = refusal
            return connection.respond(status, f"{sentence}\n")
        path = urlsplit(request.path).path
        if path == _SOCKET:
            if request.headers.get("Origin") != f"https://{request.headers.get('Host', '')}":
                return connection.respond(http.HTTPStatus.FORBIDDEN, "Pages of another origin are refused.\n")
            return None
        if path not in _PAGES:
            return connection.respond(http.HTTPStatus.NOT_FOUND, f"Available: {', '.join(_PAGES)}.\n")
        return self._page_response(*_PAGES[path], host=request.headers.get("Host", ""))

    def _page_response(self, name: str, kind: str, host: str) -> Response:
        body = files(__package__ or "").joinpath(name).read_bytes()
        headers = Headers(
            {
                "Content-Type": kind,
                "Content-Length": str(len(body)),
                "Connection": "close",
                "Cache-Control": "no-store",
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": f"default-src 'self'; img-src data:; connect-src 'self' wss://{host}",
            }
        )
        if self._token.cookie:
            headers["Set-Cookie"] = self._token.cookie
        return Response(http.HTTPStatus.OK, "OK", headers, body)

    async def _receive(self, connection: ServerConnection) -> None:
        """Hear a page until it is closed, replaced or says nonsense."""
        before, self._page = self._page, connection
        if before is not None:
            self._input.lose()
            await before.close(REPLACED, "another page drives")
        try:
            await connection.send(self._greeting())
            async for text in connection:
                if self._page is not connection:
                    return
                self._input.hear(parse_message(text))
        except HilserlError as error:
            await connection.close(1008, str(error)[:100])
        except ConnectionClosed:
            pass  # the phone is out of reach
        finally:
            if self._page is connection:
                self._page = None
                self._input.lose()
