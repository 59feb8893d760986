"""Access rules of a robot server, the same for all ports."""

import hmac
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass

_LOCAL_NAMES = ("localhost", "ip6-localhost")


@dataclass(frozen=True)
class Access:
    """Check of a request before anything of it is read."""

    token: str | None = None
    """Token that clients have to send; None for no check."""
    names: tuple[str, ...] = ()
    """Further names of this machine that clients may use."""

    def refusal(self, headers: Mapping[str, str]) -> tuple[int, str] | None:
        """Return status and reason of a refusal; None to let pass.

        Args:
            headers: headers of the request by their names in lower case.
        """
        # Only browsers send it: a web page must not reach an arm through a browser on this machine.
        if "origin" in headers:
            return 403, "Requests of web pages are refused."
        if not self._is_ours(headers.get("host", "")):
            return 403, (
                f"Unknown Host {headers.get('host', '')[:100]!r}: a page may have rebound its name. "
                "Use the address of the server, or name it with --host."
            )
        shown = headers.get("authorization", "")
        if self.token and not hmac.compare_digest(shown.encode(), f"Bearer {self.token}".encode()):
            return 401, "Missing or wrong token: expected the header Authorization: Bearer TOKEN."
        return None

    def _is_ours(self, host: str) -> bool:
        """Return True for an address, and for a name of this machine."""
        name, separator, port = host.rpartition(":")
        name = (name if separator and port.isdigit() else host).strip("[]").lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            own = socket.gethostname().lower()
            return name in (*_LOCAL_NAMES, own, own.split(".")[0], *self.names)
        return True
