"""Token of a page: addresses, cookies and refusals."""

import pytest
from websockets import Headers
from websockets.http11 import Request

from hilserl.operators.page_token import PageToken

TOKEN = PageToken("secret", "https", ("arm.local",))


def refused(path: str, host: str = "arm.local:8443", **headers: str) -> int | None:
    answer = TOKEN.refusal(Request(path, Headers(Host=host, **headers)))
    return answer and int(answer[0])


def test_address_shows_the_token_and_brackets() -> None:
    assert TOKEN.address("::1", 8443) == "https://[::1]:8443/?token=secret"
    assert PageToken(None).address("127.0.0.1", 80) == "http://127.0.0.1:80/"


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=Secret", "/?key=secret", "/secret"])
def test_wrong_token_is_refused(path: str) -> None:
    assert refused(path) == 401


def test_token_passes_by_address_and_by_its_own_cookie() -> None:
    cookie = (TOKEN.cookie or "").split(";")[0]
    assert refused("/?token=secret") is None
    assert refused("/socket", Cookie=f"other=1; {cookie}") is None
    assert refused("/socket", Cookie="hilserl-other=secret") == 401
    assert refused("/?token=secret", host="evil.example") == 403


def test_cookie_is_for_https_alone_where_the_page_is() -> None:
    assert "Secure" in (TOKEN.cookie or "")
    assert "Secure" not in (PageToken("secret").cookie or "")
    assert PageToken(None).cookie is None
