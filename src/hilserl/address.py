"""Network addresses of services."""

import ipaddress
from typing import NamedTuple

from hilserl.errors import HilserlError


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
