"""The one base exception: what a user can mend is raised as this and shown without a traceback."""

import difflib
from collections.abc import Iterable


class HilserlError(Exception):
    """Something a user can mend; the message names the value, what was expected and what exists."""


def unknown(kind: str, value: str, existing: Iterable[str]) -> HilserlError:
    """The error for a name that does not exist: what does, and the nearest to it."""
    names = sorted(existing)
    near = difflib.get_close_matches(value, names, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return HilserlError(f"Unknown {kind} {value!r}.{hint} There is: {', '.join(names) or 'none'}.")
