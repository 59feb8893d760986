"""Base exception of errors that a user can fix."""

import difflib
from collections.abc import Iterable


class HilserlError(Exception):
    """Error that a user can fix, shown without a traceback.

    The message names the value, the expectation, and the values that exist.
    """


class EnvUnavailableError(HilserlError):
    """Interruption of an environment that a later `reset` may overcome."""


def unknown(kind: str, value: str, existing: Iterable[str]) -> HilserlError:
    """Make the error for an unknown name.

    Args:
        kind: kind of the thing, as in "task".
        value: the unknown name.
        existing: names that exist; the error suggests the nearest one.
    """
    names = sorted(existing)
    near = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return HilserlError(f"Unknown {kind} {value!r}.{hint} Available: {', '.join(names) or 'none'}.")
