"""Secrets are readable by their owner alone, and what is not an address or a secret is named."""

import os
import socket
import stat
from pathlib import Path

import pytest
from cryptography import x509

from hilserl.distributed.credentials import (
    Address,
    Credentials,
    check_listening,
    load_credentials,
    make_credentials,
)
from hilserl.errors import HilserlError


@pytest.fixture(autouse=True)
def no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HILSERL_TOKEN", raising=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_made_credentials_are_secret_and_come_back(tmp_path: Path, mask: int) -> None:
    directory, before = tmp_path / "new" / "directory", os.umask(mask)
    try:
        made = make_credentials(directory, ["localhost", "10.0.0.7"])
    finally:
        os.umask(before)
    assert sorted(path.name for path in directory.iterdir()) == ["certificate.pem", "key.pem", "token"]
    assert (mode(directory / "token"), mode(directory / "key.pem")) == (0o600, 0o600)
    assert load_credentials(directory) == made
    assert made.token
    assert len(made.token) >= 32
    assert made.token not in repr(sorted(p.name for p in directory.iterdir()))


def test_tokens_and_keys_differ(tmp_path: Path) -> None:
    made = [make_credentials(tmp_path / name, ["localhost"]) for name in "abc"]
    assert len({each.token for each in made}) == len({each.key for each in made}) == 3


def test_certificate_is_for_the_hosts_that_are_named(tmp_path: Path) -> None:
    made = make_credentials(tmp_path, ["learner.example", "10.0.0.7", "::1"], valid_days=30)
    assert made.certificate
    certificate = x509.load_pem_x509_certificate(made.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["learner.example"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.7", "::1"]
    assert 29 < (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 30
    with pytest.raises(HilserlError, match="at least one host"):
        make_credentials(tmp_path / "none", [])


@pytest.mark.parametrize("name", ["token", "key.pem", "certificate.pem"])
def test_make_credentials_overwrites_no_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(HilserlError, match=f"{tmp_path / name} exists already"):
        make_credentials(tmp_path, ["localhost"])
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(name, "precious")]


def test_second_making_leaves_the_first(tmp_path: Path) -> None:
    made = make_credentials(tmp_path, ["localhost"])
    with pytest.raises(HilserlError, match="exists already"):
        make_credentials(tmp_path, ["localhost"])
    assert load_credentials(tmp_path) == made


@pytest.mark.parametrize("name", ["token", "key.pem"])
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o620, 0o644, 0o777])
def test_secret_that_others_may_read_is_refused(tmp_path: Path, name: str, bits: int) -> None:
    make_credentials(tmp_path, ["localhost"])
    (tmp_path / name).chmod(bits)
    with pytest.raises(HilserlError, match=f"chmod 600 {tmp_path / name}"):
        load_credentials(tmp_path)


@pytest.mark.parametrize("name", ["token", "certificate.pem"])
def test_missing_file_is_named(tmp_path: Path, name: str) -> None:
    make_credentials(tmp_path, ["localhost"])
    (tmp_path / name).unlink()
    with pytest.raises(HilserlError, match=name):
        load_credentials(tmp_path)
    with pytest.raises(HilserlError, match="absent"):
        load_credentials(tmp_path / "absent")


def test_actor_needs_no_key(tmp_path: Path) -> None:
    made = make_credentials(tmp_path, ["localhost"])
    (tmp_path / "key.pem").unlink()
    assert load_credentials(tmp_path) == Credentials(made.token, made.certificate)


def test_token_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    make_credentials(tmp_path, ["localhost"])
    (tmp_path / "token").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HilserlError, match="token"):
        load_credentials(tmp_path)


def test_empty_token_is_refused_by_name(tmp_path: Path) -> None:
    """Otherwise a caller with an empty token would be let in."""
    make_credentials(tmp_path, ["localhost"])
    (tmp_path / "token").write_text("\n")
    with pytest.raises(HilserlError, match="token"):
        load_credentials(tmp_path)


def test_variable_goes_before_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_credentials(tmp_path, ["localhost"])
    assert load_credentials(None) == Credentials()
    monkeypatch.setenv("HILSERL_TOKEN", "from outside")
    assert load_credentials(None) == Credentials("from outside")
    assert load_credentials(tmp_path) == Credentials("from outside", made.certificate, made.key)
    (tmp_path / "token").unlink()
    assert load_credentials(tmp_path).token == "from outside"


def test_empty_variable_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_credentials(tmp_path, ["localhost"])
    monkeypatch.setenv("HILSERL_TOKEN", "")
    assert load_credentials(tmp_path) == made
    assert load_credentials(None) == Credentials()


def test_token_must_be_the_right_one() -> None:
    credentials = Credentials("secret")
    assert credentials.may_enter("secret")
    for wrong in (None, "", "secre", "secret ", "Secret", "secret\0", "sécret", "x" * 100_000):
        assert not credentials.may_enter(wrong)
    assert Credentials().may_enter(None)
    assert Credentials().may_enter("whatever")
    assert Credentials("größer").may_enter("größer")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:50051", Address("127.0.0.1", 50051)),
        ("learner.example:1", Address("learner.example", 1)),
        ("[::1]:65535", Address("::1", 65535)),
        ("localhost:0", Address("localhost", 0)),
    ],
)
def test_address_is_read_and_written(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "host", "host:", ":5", "host:port", "host:-1", "host:65536", "host:5.0", "host: 5", "host:5 "),
        *("host:0x10", "host:1e3", "http://host:", "[]:5", "host:" + "9" * 5000, "host:²", "\n", "host:5\n", "host:+5"),
    ],
    ids=range(20),
)
def test_invalid_address_is_named(text: str) -> None:
    with pytest.raises(HilserlError, match="HOST:PORT"):
        Address.parse(text)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10", "::1"])
def test_loopback_needs_no_credentials(host: str) -> None:
    assert Address(host, 1).is_loopback
    check_listening(Address(host, 1), Credentials())


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.7", "192.168.0.1", "learner.example", "localhost.example", "128.0.0.1", "127"]
)
def test_address_beyond_loopback_needs_token_and_certificate(tmp_path: Path, host: str) -> None:
    address = Address(host, 50051)
    assert not address.is_loopback
    made = make_credentials(tmp_path, ["localhost"])
    check_listening(address, made)
    for less in (
        Credentials(),
        Credentials(made.token),
        Credentials(None, made.certificate, made.key),
        Credentials("", made.certificate, made.key),
        Credentials(made.token, made.certificate),
        Credentials(made.token, None, made.key),
    ):
        with pytest.raises(HilserlError, match=f"{host}.*can be reached.*hilserl credentials --host"):
            check_listening(address, less)


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_make_credentials_refuses_the_address_of_every_interface(tmp_path: Path, host: str) -> None:
    """No actor would accept such a certificate."""
    with pytest.raises(HilserlError, match=f"Invalid host {host}: .*{socket.gethostname()}"):
        make_credentials(tmp_path / "new", ["localhost", host])
    assert not (tmp_path / "new").exists()
    with pytest.raises(HilserlError, match=f"hilserl credentials --host {socket.gethostname()} --out"):
        check_listening(Address(host, 5000), Credentials())
