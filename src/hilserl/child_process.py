"""Start and end of programs in other interpreters."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

from hilserl.errors import HilserlError


class Streams(NamedTuple):
    """Standard streams of a program, as `subprocess.Popen` takes them."""

    stdin: int
    stdout: int
    stderr: int | None


def start(
    command: Sequence[str], owner: str, streams: Streams, pass_fds: Sequence[int] = ()
) -> subprocess.Popen[bytes]:
    """Start a program in its own session, away from Ctrl-C.

    Args:
        command: the interpreter and its arguments.
        owner: the environment or device that the program serves, for the error.
        streams: its standard streams, without buffers.
        pass_fds: file descriptors that it inherits.

    Raises:
        HilserlError: the interpreter cannot be started.
    """
    stdin, stdout, stderr = streams
    try:
        return subprocess.Popen(  # noqa: S603 (the user names the interpreter)
            command, 0, None, stdin, stdout, stderr, pass_fds=pass_fds, start_new_session=True
        )
    except OSError as error:
        raise HilserlError(f"{owner}: the interpreter {command[0]} cannot be started: {error.strerror}.") from error


def end(process: "subprocess.Popen[bytes]", patience_s: float = 0.0) -> None:
    """End a program and all that it started.

    Args:
        process: the program.
        patience_s: time that it has to end by SIGTERM; with 0 it is killed at once.
    """
    if patience_s and process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
    process.wait()


def describe_end(process: "subprocess.Popen[bytes]", patience_s: float) -> str:
    """Say how a program ended, as `was ended by SIGKILL`.

    Args:
        process: the program, which does not answer any more.
        patience_s: longest time to wait for its status.
    """
    try:
        status = process.wait(patience_s)
    except subprocess.TimeoutExpired:
        return "closed its pipes"
    if status >= 0:
        return f"ended with status {status}"
    names = {each.value: each.name for each in signal.Signals}
    return f"was ended by {names.get(-status, f'signal {-status}')}"
