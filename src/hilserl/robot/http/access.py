"""Access rules of a robot server, the same for all ports."""

from collections.abc import Mapping
from dataclasses import dataclass

from hilserl.address import names_this_machine
from hilserl.tokens import is_token


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
        if not names_this_machine(headers.get("host", ""), self.names):
            return 403, (
                f"Unknown Host {headers.get('host', '')[:100]!r}: a page may have rebound its name. "
                "Use the address of the server, or name it with --host."
            )
        if self.token and not is_token(headers.get("authorization"), f"Bearer {self.token}"):
            return 401, "Missing or wrong token: expected the header Authorization: Bearer TOKEN."
        return None
