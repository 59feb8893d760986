"""The phone's page over HTTPS: token, certificate, and one page at a time."""

import contextlib
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import segno
from websockets import Origin
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from hilserl.address import Address
from hilserl.distributed.credentials import make_credentials
from hilserl.errors import HilserlError
from hilserl.operators.devices.device import DisplayDevice, Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.phone import phone as phone_module
from hilserl.operators.phone.config import PhoneConfig
from hilserl.operators.phone.phone import Phone, local_address, qr_code
from tests.support.devices import wait_for
from tests.support.layouts import SEVEN

HOST = "127.0.0.1"
ANY_CERTIFICATE = ssl._create_unverified_context()


@pytest.fixture(scope="module")
def phone() -> Iterator[Phone]:
    with contextlib.closing(Phone(SEVEN, PhoneConfig(host=HOST))) as opened:
        yield opened


def get(url: str, **headers: str) -> tuple[int, str, dict[str, str]]:
    """Return status, body and headers of a GET."""
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, context=ANY_CERTIFICATE, timeout=10) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode(), dict(error.headers)


def root_of(phone: Phone) -> str:
    return f"https://{urlsplit(phone.url).netloc}"


def open_socket(phone: Phone, origin: str | None = None) -> ClientConnection:
    """Connect as the page does, by the cookie that it got."""
    cookie = get(phone.url)[2]["Set-Cookie"].split(";")[0]
    return connect(
        f"wss://{urlsplit(phone.url).netloc}/socket",
        ssl=ANY_CERTIFICATE,
        origin=Origin(origin or root_of(phone)),
        additional_headers={"Cookie": cookie},
    )


def first(phone: Phone, condition: Callable[[Reading], object]) -> Reading:
    """Return the first reading that meets a condition."""
    found: list[Reading] = []

    def look() -> bool:
        found.append(phone.read())
        return bool(condition(found[-1]))

    wait_for(look)
    return found[-1]


def test_page_needs_the_token(phone: Phone) -> None:
    root = root_of(phone)
    for path in ("/", "/page.js", "/hand.js", "/page.css", "/socket", "/nothing", "/?token=wrong"):
        status, body, headers = get(root + path)
        assert status == 401
        assert "token" in body
        assert "Set-Cookie" not in headers
    assert get(phone.url, Host="evil.example")[0] == 403


def test_page_shows_the_token_by_a_cookie_and_loads_from_nowhere_else(phone: Phone) -> None:
    status, body, headers = get(phone.url)
    assert status == 200
    assert all(flag in headers["Set-Cookie"] for flag in ("HttpOnly", "SameSite=Strict", "Secure"))
    assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    cookie = headers["Set-Cookie"].split(";")[0]
    for path in ("/page.js", "/hand.js", "/page.css"):
        assert path in body
        assert get(root_of(phone) + path, Cookie=cookie)[0] == 200
    assert get(f"{root_of(phone)}/page_input.py", Cookie=cookie)[0] == 404


def test_pages_of_another_origin_are_refused(phone: Phone) -> None:
    for origin in ("https://evil.example", root_of(phone).replace("https", "http"), "null"):
        with pytest.raises(InvalidStatus, match="403"):
            open_socket(phone, origin)


def test_page_drives_and_shows_who_drives(phone: Phone) -> None:
    assert isinstance(phone, DisplayDevice)
    with open_socket(phone) as page:
        expected = {"control": "policy", "message": "", "turns": True, "gripper": True, "arms": 1}
        assert json.loads(page.recv(10)) == expected
        phone.show("human", "You drive.")
        phone.show("human", "You drive.")
        phone.show("policy", "")
        assert [json.loads(page.recv(10))["control"] for _ in range(2)] == ["human", "policy"]
        page.send('{"pads": [0, 1, 0], "presses": ["takeover"]}')
        reading = first(phone, lambda reading: reading.commands)
        assert reading.commands == (Command.TAKEOVER,)
        assert reading.motion[0] == 1.0
    first(phone, lambda reading: not reading.present)


def test_later_page_replaces_the_earlier_one(phone: Phone) -> None:
    with open_socket(phone) as earlier, open_socket(phone) as later:
        later.send('{"pads": [0, 1, 0]}')
        earlier.recv(10)
        with pytest.raises(ConnectionClosed) as closed:
            earlier.recv(10)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 4001
        earlier.close()
        later.send('{"pads": [0, -1, 0]}')
        first(phone, lambda reading: reading.present and reading.motion[0] < 0)


@pytest.mark.parametrize("nonsense", ["nonsense", '{"pads": [1]}', "x" * 5000, b"\xff\x00"])
def test_nonsense_closes_the_connection_and_no_more(phone: Phone, nonsense: str | bytes) -> None:
    with open_socket(phone) as page:
        page.recv(10)
        page.send('{"pads": [0, 1, 0]}')
        first(phone, lambda reading: reading.present)
        page.send(nonsense)
        with pytest.raises(ConnectionClosed):
            page.recv(10)
    first(phone, lambda reading: not reading.present)
    with open_socket(phone) as page:
        page.send("{}")
        first(phone, lambda reading: reading.present)


def test_plain_http_and_a_bare_connection_do_no_harm(phone: Phone) -> None:
    with pytest.raises(OSError, match=r".*"):
        urllib.request.urlopen(phone.url.replace("https", "http"), timeout=10)
    with open_socket(phone) as page:
        assert page.recv(10)


def test_announcement_has_address_qr_code_and_fingerprint(phone: Phone) -> None:
    lines = phone.announcement.splitlines()
    assert lines[0] == f"Phone: {phone.url}"
    assert len(lines[-1].split(":")) == 32
    assert "█" in lines[5]
    sizes = {len(line) for line in qr_code(phone.url).splitlines() if line}
    assert sizes == {segno.make(phone.url, error="l", micro=False).symbol_size(border=2)[0]}
    assert max(sizes) <= 60


def test_certificate_of_the_user_stays_the_same(tmp_path: Path) -> None:
    make_credentials(tmp_path / "mine", [HOST])
    config = PhoneConfig(host=HOST, certificate=tmp_path / "mine")
    shown, urls = set(), set()
    for _ in range(2):
        with contextlib.closing(Phone(SEVEN, config)) as opened:
            shown.add(opened.announcement.splitlines()[-1])
            urls.add(opened.url)
            trusting = ssl.create_default_context(cafile=str(tmp_path / "mine" / "certificate.pem"))
            with urllib.request.urlopen(opened.url, context=trusting, timeout=10) as answer:
                assert answer.status == 200
    assert len(shown) == 1
    assert len(urls) == 2, "the token is a new one"
    (tmp_path / "mine" / "key.pem").chmod(0o644)
    with pytest.raises(HilserlError, match="chmod 600"):
        Phone(SEVEN, config)


def test_bad_addresses_and_certificates_name_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HilserlError, match=r"hilserl credentials --host"):
        Phone(SEVEN, PhoneConfig(host=HOST, certificate=tmp_path))
    with pytest.raises(HilserlError, match=r"--console\.phone\.host"):
        Phone(SEVEN, PhoneConfig(host="192.0.2.77"))
    monkeypatch.setattr(phone_module, "ANYWHERE", ("0.0.0.0.0", 9))
    with pytest.raises(HilserlError, match=r"no network.*--console\.phone\.host"):
        local_address()


def test_two_phones_take_two_ports() -> None:
    with contextlib.closing(Phone(SEVEN, PhoneConfig(host=HOST))) as one:
        port = Address.parse(urlsplit(one.url).netloc).port
        with contextlib.closing(Phone(SEVEN, PhoneConfig(host=HOST))) as other:
            assert Address.parse(urlsplit(other.url).netloc).port != port
        with pytest.raises(HilserlError, match=rf"{port}.*--console\.phone\.port"):
            Phone(SEVEN, PhoneConfig(host=HOST, port=port))


def test_closed_phone_is_gone_and_closing_twice_is_harmless() -> None:
    opened = Phone(SEVEN, PhoneConfig(host=HOST))
    with open_socket(opened) as page:
        page.send('{"pads": [0, 1, 0]}')
        first(opened, lambda reading: reading.present)
        opened.close()
        assert opened.read() == Reading(False)
    opened.show("human", "")
    opened.close()
