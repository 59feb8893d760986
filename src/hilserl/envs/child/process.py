"""Process of another interpreter that answers calls one by one."""

import contextlib
import json
import os
import selectors
import subprocess
import threading
import time
import weakref
from pathlib import Path
from typing import Any, BinaryIO, cast

from hilserl.child_process import Streams, describe_end, end, start
from hilserl.errors import HilserlError

HOST = Path(__file__).with_name("host.py")
"""Program that the other interpreter runs."""
_CLOSING_S = 5.0
_LAST_BYTES = 4096
"""Kept end of what the other process prints."""
_LAST_LINES = 8


class ChildError(HilserlError):
    """Failure of an environment in another process."""


class ChildProcess:
    """A process that runs `host.py`.

    It ends with this process, however that ends.

    Args:
        name: The environment's name, for errors.
        python: The other interpreter.
        limit_s: Longest time that any call may take; beyond it the process ends itself.

    Raises:
        HilserlError: The interpreter cannot be started.
    """

    def __init__(self, name: str, python: Path, limit_s: float) -> None:
        self._name, self._python = name, python
        command = [str(python), "-u", str(HOST), str(os.getpid()), str(limit_s)]
        self._process = start(command, name, Streams(subprocess.PIPE, subprocess.PIPE, subprocess.PIPE))
        assert self._process.stdin
        assert self._process.stdout
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._output = _Output(cast("BinaryIO", self._process.stderr))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._answers, selectors.EVENT_READ)
        self._received = bytearray()
        self._end = weakref.finalize(self, _kill, self._process, self._selector)

    @property
    def process_id(self) -> int:
        """Number of the process."""
        return self._process.pid

    def ask(self, call: str, timeout_s: float, **values: Any) -> dict[str, Any]:
        """Ask for one call and wait for its answer.

        Raises:
            ChildError: The environment raised an error, did not answer in time, or its process is gone.
        """
        if not self._end.alive:
            raise ChildError(f"{self._name} is closed.")
        try:
            self._requests.write(json.dumps({"call": call, **values}).encode() + b"\n")
            answer = json.loads(self._read_line(call, timeout_s))
        except (BrokenPipeError, EOFError) as error:
            raise self._gone(call) from error
        if text := answer.get("error"):
            raise ChildError(f"{self._name}: {call} failed: {text}{self._in_interpreter()}")
        return answer

    def _read_line(self, call: str, timeout_s: float) -> bytes:
        """Read a line of the answers. Raises EOFError if there are no more."""
        deadline_s = time.monotonic() + timeout_s
        while (end := self._received.find(b"\n")) < 0:
            if not self._selector.select(max(0.0, deadline_s - time.monotonic())):
                self._end()
                raise ChildError(
                    f"{self._name} did not answer {call} within {timeout_s:g} s and was ended. Give it more time: "
                    f"--env.timeout-s N.{self._in_interpreter()}"
                )
            chunk = os.read(self._answers.fileno(), 1 << 16)
            if not chunk:
                raise EOFError
            self._received += chunk
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line

    def _gone(self, call: str) -> ChildError:
        """Say how the process ended."""
        how = describe_end(self._process, _CLOSING_S)
        self._end()
        return ChildError(f"{self._name}: its process {how} during {call}{self._in_interpreter()}")

    def _in_interpreter(self) -> str:
        """Name the interpreter and what it printed last."""
        lines = self._output.last_lines()
        said = f". It printed last:\n{lines}" if lines else ""
        return f" ({self._python}){said}"

    def close(self) -> None:
        """Close the environment and end the process, if needed by force."""
        if self._end.alive:
            with contextlib.suppress(ChildError, subprocess.TimeoutExpired):
                self.ask("close", _CLOSING_S)
                self._process.wait(_CLOSING_S)
        self._end()
        self._output.close()


class _Output:
    """The end of what a process prints."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream, self._end = stream, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while chunk := self._stream.read(1 << 16):
                self._end = (self._end + chunk)[-_LAST_BYTES:]

    def last_lines(self) -> str:
        """Return the last lines, indented."""
        # What was printed before an answer may be on its way still.
        self._thread.join(0.05)
        lines = self._end.decode(errors="replace").splitlines()
        return "\n".join(f"    {line}" for line in lines[-_LAST_LINES:] if line.strip())

    def close(self) -> None:
        """Wait for the end of what a process that has ended printed."""
        self._thread.join(_CLOSING_S)


def _kill(process: "subprocess.Popen[bytes]", selector: selectors.BaseSelector) -> None:
    """End a process and close the ways to it."""
    selector.close()
    end(process)
    for pipe in (process.stdin, process.stdout):
        if pipe:
            pipe.close()
