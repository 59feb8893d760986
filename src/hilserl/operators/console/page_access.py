"""Access to the console's page in a browser."""

from collections.abc import Callable
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from hilserl.operators.console.page_keys import key_script
from hilserl.operators.page_token import PageToken

Answer = Callable[[ServerConnection, Request], Response | None]
"""Answers a request; None goes on with the WebSocket."""


class PageAccess:
    """Check of every request for the page, and of its connections.

    Args:
        token: the token of the page; None lets every program on this machine in.
    """

    def __init__(self, token: str | None) -> None:
        self._token = PageToken(token)

    def address(self, host: str, port: int) -> str:
        """Return the page's address, with the token."""
        return self._token.address(host, port)

    def guarded(self, answer: Answer) -> Answer:
        """Return the server's answers behind the check."""

        def _answer(connection: ServerConnection, request: Request) -> Response | None:
            if refusal := self._token.refusal(request):
                status, sentence = refusal
                return connection.respond(status, f"{sentence}\n")
            response = answer(connection, request)
            if response is not None and urlsplit(request.path).path in ("/", "/index.html"):
                return self._complete(response)
            return response

        return _answer

    def _complete(self, response: Response) -> Response:
        """Add the script of the keys, and the cookie."""
        script = f"<script>\n{key_script()}</script>"
        body = bytes(response.body).replace(b"<head>", f"<head>\n{script}".encode(), 1)
        headers = Headers(response.headers)
        del headers["Content-Length"]
        headers["Content-Length"] = str(len(body))
        headers["Referrer-Policy"] = "no-referrer"
        if self._token.cookie:
            headers["Set-Cookie"] = self._token.cookie
        return Response(response.status_code, response.reason_phrase, headers, body)
