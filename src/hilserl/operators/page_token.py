"""Token of a page that a browser opens."""

import hashlib
import http
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request

from hilserl.address import Address, names_this_machine
from hilserl.tokens import is_token


class PageToken:
    """Check of a browser's requests by a token.

    The printed address carries the token. The page gets a cookie, which its further requests show.

    Args:
        token: the token of the page; None lets every program that reaches it in.
        scheme: http or https.
        names: further names of this machine that browsers may use.
    """

    def __init__(self, token: str | None, scheme: str = "http", names: tuple[str, ...] = ()) -> None:
        self._token, self._scheme, self._names = token, scheme, names
        # Browsers send the cookies of a host to each of its ports, so each page has a name of its own.
        self._cookie = f"hilserl-{hashlib.sha256((token or '').encode()).hexdigest()[:12]}"

    def address(self, host: str, port: int) -> str:
        """Return the page's address, with the token."""
        return f"{self._scheme}://{Address(host, port)}/" + (f"?token={self._token}" if self._token else "")

    @property
    def cookie(self) -> str | None:
        """Header Set-Cookie of the page, if there is a token."""
        if not self._token:
            return None
        secure = "; Secure" if self._scheme == "https" else ""
        return f"{self._cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict{secure}"

    def refusal(self, request: Request) -> tuple[http.HTTPStatus, str] | None:
        """Return status and reason of a refusal; None to let pass."""
        host = request.headers.get("Host", "")
        if not names_this_machine(host, self._names):
            return http.HTTPStatus.FORBIDDEN, (
                f"Unknown Host {host[:100]!r}: a page may have rebound its name. Use {self._scheme}://localhost."
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
