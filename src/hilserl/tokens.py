"""Tokens that callers of a service have to show."""

import hmac
import secrets


def new_token() -> str:
    """Make a token that nobody can guess."""
    return secrets.token_urlsafe(24)


def is_token(shown: str | None, token: str) -> bool:
    """Return True for the right token, in constant time."""
    return shown is not None and hmac.compare_digest(shown.encode(), token.encode())
