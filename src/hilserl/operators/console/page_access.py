"""Access to the browser's page, by a token."""

import hashlib
import http
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from hilserl.address import names_this_machine
from hilserl.operators.console.page_keys import key_script
from hilserl.tokens import is_token

Answer = Callable[[ServerConnection, Request], Response | None]
"""Answers a request; None goes on with the WebSocket."""


class PageAccess:
    """Check of every request for the page, and of its connections.

    The printed address carries the token. The page gets a cookie, which its further requests show.

    Args:
        token: the token of the page; None lets every program on this machine in.
    """

    def __init__(self, token: str | None) -> None:
        self._token = token
        # Browsers send the cookies of a host to each of its ports, so each console has a name of its own.
        self._cookie = f"hilserl-{hashlib.sha256((token or '').encode()).hexdigest()[:12]}"

    def address(self, host: str, port: int) -> str:
        """Return the page's address, with the token."""
        return f"http://{host}:{port}/" + (f"?token={self._token}" if self._token else "")

    def guarded(self, answer: Answer) -> Answer:
        """Return the server's answers behind the check."""

        def _answer(connection: ServerConnection, request: Request) -> Response | None:
            if refusal := self._refusal(request):
                status, sentence = refusal
                return connection.respond(status, f"{sentence}\n")
            response = answer(connection, request)
            if response is not None and urlsplit(request.path).path in ("/", "/index.html"):
                return self._complete(response)
            return response

        return _answer

    def _refusal(self, request: Request) -> tuple[http.HTTPStatus, str] | None:
        host = request.headers.get("Host", "")
        if not names_this_machine(host):
            return http.HTTPStatus.FORBIDDEN, (
                f"Unknown Host {host[:100]!r}: a page may have rebound its name. Use http://localhost."
            )
        if self._token and not any(is_token(shown, self._token) for shown in self._shown(request)):
            return http.HTTPStatus.UNAUTHORIZED, (
                "Missing or wrong token: open the address that the program printed, with ?token= at its end."
            )
        return None

    def _shown(self, request: Request) -> list[str]:
        """Return the tokens in the address and in the cookies."""
        shown = parse_qs(urlsplit(request.path).query).get("token", [])
        for text in request.headers.get_all("Cookie"):
            try:
                cookies = SimpleCookie(text)
            except CookieError:  # of another program on this machine
                continue
            shown += [cookies[name].value for name in cookies if name == self._cookie]
        return shown

    def _complete(self, response: Response) -> Response:
        """Add the script of the keys, and the cookie."""
        script = f"<script>\n{key_script()}</script>"
        body = bytes(response.body).replace(b"<head>", f"<head>\n{script}".encode(), 1)
        headers = Headers(response.headers)
        del headers["Content-Length"]
        headers["Content-Length"] = str(len(body))
        headers["Referrer-Policy"] = "no-referrer"
        if self._token:
            headers["Set-Cookie"] = f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        return Response(response.status_code, response.reason_phrase, headers, body)
