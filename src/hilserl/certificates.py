"""Self-signed certificates of services."""

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from hilserl.errors import HilserlError

CERTIFICATE_FILE, KEY_FILE = "certificate.pem", "key.pem"
VALID_DAYS = 365


def check_private(path: Path) -> None:
    """Raise HilserlError if others on this machine can read a file."""
    if path.exists() and path.stat().st_mode & 0o077:
        raise HilserlError(f"{path} can be read by others; run: chmod 600 {path}")


def make_certificate(
    hosts: Sequence[str], valid_days: int = VALID_DAYS, name: str = "hilserl learner"
) -> tuple[bytes, bytes]:
    """Make a self-signed certificate and its key (PEM).

    Args:
        hosts: names and addresses of the service.
        valid_days: days until it expires; a negative number makes one that has expired.
        name: name of the service for people.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begin = dt.datetime.now(dt.UTC) + dt.timedelta(days=min(0, 2 * valid_days), minutes=-5)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=abs(valid_days), minutes=5))
        .add_extension(x509.SubjectAlternativeName([_subject(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # Apple's phones refuse a server's certificate without it.
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _subject(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
