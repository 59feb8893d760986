"""Certificates that phones and actors accept."""

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from hilserl.certificates import check_private, make_certificate
from hilserl.errors import HilserlError


def test_certificate_is_a_server_s_for_its_hosts() -> None:
    pem, _ = make_certificate(["192.168.1.20", "robot.local", "::1"], name="hilserl")
    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name.value) for name in names] == ["192.168.1.20", "robot.local", "::1"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert ssl.create_default_context(cadata=pem.decode()).cert_store_stats()["x509_ca"] == 1


def test_private_file_is_the_owner_s_alone(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    check_private(path)
    path.touch(0o600)
    check_private(path)
    path.chmod(0o640)
    with pytest.raises(HilserlError, match="chmod 600"):
        check_private(path)
