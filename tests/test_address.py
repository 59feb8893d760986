"""Addresses are HOST:PORT, and anything else is named."""

import pytest

from hilserl.address import Address
from hilserl.errors import HilserlError


@pytest.mark.parametrize(
    ("text", "host", "port", "loopback"),
    [
        ("127.0.0.1:50051", "127.0.0.1", 50051, True),
        ("localhost:1", "localhost", 1, True),
        ("[::1]:8080", "::1", 8080, True),
        ("192.168.1.5:80", "192.168.1.5", 80, False),
        ("learner.lab:50051", "learner.lab", 50051, False),
    ],
)
def test_address_survives_its_text(text: str, host: str, port: int, loopback: bool) -> None:
    address = Address.parse(text)
    assert (address.host, address.port, address.is_loopback) == (host, port, loopback)
    assert str(address) == text


@pytest.mark.parametrize("text", ["", "host", "host:", ":80", "host:port", "host:-1", "host:65536", "host:123456"])
def test_invalid_address_is_named(text: str) -> None:
    with pytest.raises(HilserlError, match=f"Invalid address '{text}': expected HOST:PORT"):
        Address.parse(text)
