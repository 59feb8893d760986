"""Network addresses of services."""

import ipaddress
import socket
from collections.abc import Sequence
from typing import NamedTuple

from hilserl.errors import HilserlError

_LOCAL_NAMES = ("localhost", "ip6-localhost")


class Address(NamedTuple):
    """Host and port of a service, written HOST:PORT."""

    host: str
    """Name or IP address, without brackets."""
    port: int

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Parse HOST:PORT.

        Raises:
            HilserlError: the text has another form.
        """
        host, separator, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not separator or not host or not port.isdecimal() or len(port) > 5 or int(port) > 65_535:
            raise HilserlError(f"Invalid address {text!r}: expected HOST:PORT, as in 127.0.0.1:50051.")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """True if only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def names_this_machine(host: str, names: Sequence[str] = ()) -> bool:
    """Return True for IP addresses and names of this machine.

    A web page can rebind its own name to an address of this machine, but it cannot change the name in its requests.

    Args:
        host: header Host of a request.
        names: further names of this machine.
    """
    name, separator, port = host.rpartition(":")
    name = (name if separator and port.isdigit() else host).strip("[]").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        own = socket.gethostname().lower()
        return name in (*_LOCAL_NAMES, own, own.split(".")[0], *names)
    return True
