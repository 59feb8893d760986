"""Make a token and a certificate for a learner."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hilserl.cli.parsing import parse
from hilserl.distributed.credentials import CERTIFICATE_FILE, KEY_FILE, TOKEN_FILE, VALID_DAYS, make_credentials
from hilserl.settings import AtLeastOne


@dataclass(frozen=True)
class CredentialsArguments:
    """Make a token and a certificate for a learner on the network."""

    host: tuple[str, ...]
    """Names and addresses by which actors reach the learner."""
    out: Path
    """Directory to write to."""
    days: AtLeastOne = VALID_DAYS
    """Days that the certificate is valid."""


def run(words: Sequence[str]) -> int:
    """Write a token, a certificate and its key."""
    arguments = parse("credentials", CredentialsArguments, words)
    make_credentials(arguments.out, arguments.host, arguments.days)
    print(
        f"In {arguments.out}: {TOKEN_FILE}, {CERTIFICATE_FILE} and {KEY_FILE}. The learner needs all of them; "
        f"copy {TOKEN_FILE} and {CERTIFICATE_FILE}, never {KEY_FILE}, to each actor's machine."
    )
    return 0
