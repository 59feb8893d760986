"""Memory that this process shares with a child process."""

import contextlib
import mmap
import os
import tempfile
from pathlib import Path

from hilserl.errors import HilserlError

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - the system's directory of shared memory


class SharedMemory:
    """Mapped memory, in a file until another process has mapped it.

    A file without a name cannot be left behind: it exists as long as one of the processes does.

    Args:
        size: Bytes.

    Raises:
        HilserlError: The system does not have so much memory.
    """

    def __init__(self, size: int) -> None:
        directory = _IN_MEMORY if os.access(_IN_MEMORY, os.W_OK) else None
        handle, path = tempfile.mkstemp(prefix="hilserl-", dir=directory)
        self.path, self.size = Path(path), size
        try:
            # Memory that is only promised would end this process at its first use.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(handle, 0, size)
            else:
                os.truncate(handle, size)
            self.buffer = mmap.mmap(handle, size)
        except OSError as error:
            self.hide()
            raise HilserlError(f"Cannot share {size / 1e6:.1f} MB in {self.path.parent}: {error.strerror}.") from error
        finally:
            os.close(handle)

    def hide(self) -> None:
        """Remove the file's name; the memory stays."""
        # Windows keeps a file that is in use.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            self.path.unlink()
