"""A phone as an input device, with the way to its page."""

import io
import json
import socket
import ssl
import tempfile
from pathlib import Path

import segno
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hilserl.certificates import CERTIFICATE_FILE, KEY_FILE, check_private, make_certificate
from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.action_axes import arm_axes
from hilserl.operators.devices.device import ControlName, Reading
from hilserl.operators.page_token import PageToken
from hilserl.operators.phone.config import PhoneConfig
from hilserl.operators.phone.phone_input import PhoneInput
from hilserl.operators.phone.server import PhoneServer, listen
from hilserl.tokens import new_token

ANYWHERE = ("192.0.2.1", 9)
"""An address that no machine has (RFC 5737); nothing is sent there."""


class Phone:
    """A phone whose page drives.

    Args:
        layout: layout of the actions.
        config: address, certificate and scales.

    Raises:
        HilserlError: the page cannot be served.
    """

    name = "phone"
    arm: str | None = None

    def __init__(self, layout: ActionLayout, config: PhoneConfig) -> None:
        arms, self._input = arm_axes(layout), PhoneInput(layout, config)
        self._controls = {
            "turns": self._input.turns,
            "gripper": any(arm.gripper is not None for arm in arms),
            "arms": len(arms),
        }
        self._shown = ("policy", "")
        host = config.host or local_address()
        certificate, fingerprint = _certificate(config.certificate, host)
        token, listening = PageToken(new_token(), "https", (host.lower(),)), listen(host, config.port)
        self.url = token.address(host, listening.getsockname()[1])
        """Address of the page, with its token."""
        self.announcement = f"Phone: {self.url}\n{qr_code(self.url)}{_warning(fingerprint)}"
        """Text for the terminal that leads to the page."""
        self._server = PhoneServer(listening, certificate, token, self._input, self._state)

    def read(self) -> Reading:
        """Return the present state, without waiting."""
        return self._input.read()

    def show(self, control: ControlName, message: str) -> None:
        """Show the source of control and a sentence on the page."""
        if (control, message) != self._shown:
            self._shown = control, message
            self._server.send(self._state())

    def close(self) -> None:
        """Close the page."""
        self._server.close()

    def _state(self) -> str:
        control, message = self._shown
        return json.dumps({"control": control, "message": message, **self._controls})


def local_address() -> str:
    """Return this machine's address in the local network.

    Raises:
        HilserlError: the machine has no network.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(ANYWHERE)
        except OSError as error:
            raise HilserlError(
                f"This machine has no network in which a phone could reach it: {error}. Name its address with "
                "--console.phone.host."
            ) from error
        return probe.getsockname()[0]


def qr_code(text: str) -> str:
    """Draw a text's QR code with block characters."""
    drawing = io.StringIO()
    segno.make(text, error="l", micro=False).terminal(out=drawing, border=2, compact=True)
    return drawing.getvalue()


def _certificate(directory: Path | None, host: str) -> tuple[ssl.SSLContext, str]:
    """Return the server's TLS settings and the certificate's SHA-256 fingerprint."""
    if directory is not None:
        return _loaded(directory)
    with tempfile.TemporaryDirectory() as temporary:
        for name, content in zip((CERTIFICATE_FILE, KEY_FILE), make_certificate([host], name="hilserl"), strict=True):
            path = Path(temporary) / name
            path.touch(0o600)
            path.write_bytes(content)
        return _loaded(Path(temporary))


def _loaded(directory: Path) -> tuple[ssl.SSLContext, str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    check_private(directory / KEY_FILE)
    try:
        context.load_cert_chain(directory / CERTIFICATE_FILE, directory / KEY_FILE)
        certificate = x509.load_pem_x509_certificate((directory / CERTIFICATE_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise HilserlError(
            f"No certificate and key in {directory}: {error}. Make them: hilserl credentials --host ADDRESS --out DIR."
        ) from error
    return context, certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def _warning(fingerprint: str) -> str:
    return (
        "Open it on a phone in this machine's network. Its browser will warn, because this machine signed the "
        f"certificate itself.\nGo on only if the phone shows this SHA-256 fingerprint:\n{fingerprint}"
    )
