"""hilserl credentials: a token, and a certificate with its key, for a learner that others can reach."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hilserl.cli.parsing import parse
from hilserl.distributed.credentials import CERTIFICATE_FILE, KEY_FILE, TOKEN_FILE, VALID_DAYS, make_credentials


@dataclass(frozen=True)
class CredentialsArguments:
    """Make a token and a certificate for a learner that other machines can reach."""

    host: tuple[str, ...]
    """Names and addresses under which actors will reach the learner."""
    out: Path
    """The directory to write to."""
    days: int = VALID_DAYS
    """How long the certificate is valid."""


def run(words: Sequence[str]) -> int:
    arguments = parse("credentials", CredentialsArguments, words)
    make_credentials(arguments.out, arguments.host, arguments.days)
    print(
        f"In {arguments.out}: {TOKEN_FILE}, {CERTIFICATE_FILE} and {KEY_FILE}. The learner needs all of them; "
        f"copy {TOKEN_FILE} and {CERTIFICATE_FILE}, never {KEY_FILE}, to each actor's machine."
    )
    return 0
