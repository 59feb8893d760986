"""Programs of other interpreters: their start and their end."""

import os
import signal
import subprocess
import sys

import pytest

from hilserl.child_process import Streams, describe_end, end, start
from hilserl.errors import HilserlError
from tests.support.loopback import until

PIPES = Streams(subprocess.PIPE, subprocess.PIPE, None)


def started(source: str) -> "subprocess.Popen[bytes]":
    return start([sys.executable, "-c", source], "toy", PIPES)


def close(process: "subprocess.Popen[bytes]") -> None:
    end(process)
    for pipe in (process.stdin, process.stdout):
        assert pipe
        pipe.close()


def test_start_names_an_interpreter_that_does_not_start() -> None:
    with pytest.raises(HilserlError, match="toy: the interpreter /no/python cannot be started: No such file"):
        start(["/no/python"], "toy", PIPES)


@pytest.mark.parametrize(
    ("source", "how"),
    [
        ("raise SystemExit(3)", "ended with status 3"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
        (f"import os; os.kill(os.getpid(), {signal.SIGRTMIN + 1})", f"was ended by signal {signal.SIGRTMIN + 1}"),
    ],
)
def test_describe_end_has_status_or_signal(source: str, how: str) -> None:
    process = started(source)
    assert describe_end(process, 60.0) == how
    close(process)


def test_describe_end_of_a_program_that_lives_waits_no_longer_than_asked() -> None:
    process = started("input()")
    assert describe_end(process, 0.0) == "closed its pipes"
    close(process)


def test_end_lets_a_program_clean_up() -> None:
    source = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); print(1, flush=True); input()"
    process = started(source)
    assert process.stdout
    process.stdout.readline()
    end(process, 60.0)
    assert process.returncode == 5
    close(process)


def test_end_kills_what_a_program_has_started() -> None:
    source = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid, flush=True); input()"
    process = started(source)
    assert process.stdout
    grandchild = int(process.stdout.readline())
    close(process)

    def is_gone() -> bool:
        try:
            os.kill(grandchild, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{grandchild}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] == "Z"

    until(is_gone, "the end of what it started")
