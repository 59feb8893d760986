"""Access to a learner: addresses, tokens and certificates.

On loopback nothing is needed. Everywhere else a learner wants a token from each caller, and shows a certificate, so
that no one in between reads or changes anything.
"""

import ipaddress
import os
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hilserl.address import Address
from hilserl.certificates import CERTIFICATE_FILE, KEY_FILE, VALID_DAYS, check_private, make_certificate
from hilserl.errors import HilserlError
from hilserl.files import atomically
from hilserl.tokens import is_token

TOKEN_VARIABLE = "HILSERL_TOKEN"  # noqa: S105 - the variable's name
TOKEN_FILE = "token"  # noqa: S105 - the name of a file


@dataclass(frozen=True)
class Credentials:
    """Token, certificate and key of one side; empty on loopback."""

    token: str | None = None
    """Token that callers must show; None if none is needed."""
    certificate: bytes | None = None
    """Certificate of the learner (PEM); its actors trust no other one."""
    key: bytes | None = None
    """Key of the certificate (PEM); only the learner has it."""

    def may_enter(self, token: str | None) -> bool:
        """Return True if a caller's token is the right one."""
        return self.token is None or is_token(token, self.token)


def load_credentials(directory: Path | None) -> Credentials:
    """Load credentials from a directory and the environment.

    The environment variable HILSERL_TOKEN replaces the token in the directory.

    Raises:
        HilserlError: The directory has no token, or others on this machine can read its secrets.
    """
    from_environment = os.environ.get(TOKEN_VARIABLE) or None
    if directory is None:
        return Credentials(from_environment)
    for name in (TOKEN_FILE, KEY_FILE):
        check_private(directory / name)
    try:
        token = from_environment or (directory / TOKEN_FILE).read_text().strip()
        key = directory / KEY_FILE
        found = Credentials(
            token, (directory / CERTIFICATE_FILE).read_bytes(), key.read_bytes() if key.exists() else None
        )
    except (OSError, UnicodeDecodeError) as error:
        raise HilserlError(f"No token and certificate in {directory}: {error}. See `hilserl credentials`.") from error
    if not token:
        raise HilserlError(f"The token in {directory / TOKEN_FILE} is empty.")
    return found


def check_listening(address: Address, credentials: Credentials) -> None:
    """Raise HilserlError for a public address without token and certificate."""
    if not address.is_loopback and not (credentials.token and credentials.certificate and credentials.key):
        host = socket.gethostname() if _is_unspecified(address.host) else address.host
        raise HilserlError(
            f"{address} can be reached from outside, so a token and a certificate are needed: "
            f"hilserl credentials --host {host} --out DIR, then --credentials DIR. "
            "The host is the name or address by which actors reach this machine."
        )


def _is_unspecified(host: str) -> bool:
    """Return True for 0.0.0.0 and ::, by which no actor can call."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def make_credentials(directory: Path, hosts: Sequence[str], valid_days: int = VALID_DAYS) -> Credentials:
    """Make and keep a token, a certificate and its key.

    Args:
        directory: Directory for the files.
        hosts: Host names and addresses of the learner.
        valid_days: Days until the certificate expires.

    Raises:
        HilserlError: The directory has credentials already, or a host is not one that actors can name.
    """
    taken = [name for name in (TOKEN_FILE, CERTIFICATE_FILE, KEY_FILE) if (directory / name).exists()]
    if taken:
        raise HilserlError(f"{directory / taken[0]} exists already; name another directory, or remove it.")
    if not hosts:
        raise HilserlError("A certificate needs at least one host name or address of the learner.")
    if unspecified := [host for host in hosts if _is_unspecified(host)]:
        raise HilserlError(
            f"Invalid host {unspecified[0]}: expected a name or address by which actors reach the learner, such as "
            f"{socket.gethostname()}. The learner may still listen on {unspecified[0]}."
        )
    certificate, key = make_certificate(hosts, valid_days)
    credentials = Credentials(secrets.token_urlsafe(32), certificate, key)
    directory.mkdir(parents=True, exist_ok=True)
    for name, content, mode in (
        (KEY_FILE, key, 0o600),
        (CERTIFICATE_FILE, certificate, 0o644),
        (TOKEN_FILE, f"{credentials.token}\n".encode(), 0o600),
    ):
        atomically(directory / name, lambda part, content=content, mode=mode: _write(part, content, mode))
    return credentials


def _write(path: Path, content: bytes, mode: int) -> None:
    path.touch(mode)
    path.chmod(mode)
    path.write_bytes(content)
