"""Sentences for everything that goes wrong."""

import contextlib
import errno
import sys
import tempfile
import traceback

from hilserl.errors import HilserlError

MENDABLE, BUG = 1, 70
"""Exit statuses: a user can mend it; a bug (EX_SOFTWARE of sysexits.h)."""
_MENDABLE_ERRNO = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE, errno.ENFILE),
    *(errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.ENODEV, errno.EBUSY),
)
"""Refusals of the system that have their reason outside of this program."""


def explain(error: BaseException) -> int:
    """Print an error as a sentence.

    The traceback of a bug goes to a file.

    Returns:
        The exit status.
    """
    if isinstance(error, HilserlError):
        print(f"hilserl: {error}", file=sys.stderr)
        return MENDABLE
    if isinstance(error, OSError) and error.errno in _MENDABLE_ERRNO:
        where = f": {error.filename}" if error.filename else ""
        print(f"hilserl: {error.strerror}{where}", file=sys.stderr)
        return MENDABLE
    if isinstance(error, MemoryError):
        print("hilserl: There is not enough memory. Lower --replay-capacity or --image-size.", file=sys.stderr)
        return MENDABLE
    said = " ".join(f"{type(error).__name__}: {error}".split())
    print(f"hilserl: This is a bug in hilserl: {said}\n{_kept(error)}", file=sys.stderr)
    return BUG


def _kept(error: BaseException) -> str:
    """Keep the traceback in a file; return a sentence that says where."""
    text = "".join(traceback.format_exception(error))
    with (
        contextlib.suppress(OSError),
        tempfile.NamedTemporaryFile("w", prefix="hilserl-", suffix=".traceback", delete=False) as file,
    ):
        file.write(f"{' '.join(sys.argv)}\n{text}")
        return f"Its traceback is in {file.name}; please report it with the command."
    return text
