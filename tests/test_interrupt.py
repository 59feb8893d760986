"""A Ctrl-C ends what it should, whenever it comes."""

import signal
import subprocess
import sys

import pytest

SWALLOWED = """
import os, signal
from hilserl.interrupt import Interrupt, listen

listen()


class Dropped:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass


Dropped()
print("went on")
interrupt = Interrupt()
with interrupt.armed():
    print(interrupt.requested)
"""


def test_ctrl_c_that_a_library_dropped_is_remembered() -> None:
    """Python drops an exception that a callback raises, as JAX's at garbage collection."""
    done = subprocess.run([sys.executable, "-c", SWALLOWED], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["went on", "True"]


HUNG_UP = """
import os, signal, sys
from hilserl.interrupt import Interrupt

signal.signal(signal.SIGHUP, signal.SIG_IGN if sys.argv[1:] else signal.SIG_DFL)
interrupt = Interrupt()
with interrupt.armed():
    os.kill(os.getpid(), signal.SIGHUP)
    print(interrupt.requested)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no hang-up here")
@pytest.mark.parametrize(("words", "ends"), [([], True), (["nohup"], False)])
def test_lost_terminal_ends_a_command_in_order_unless_it_is_ignored(words: list[str], ends: bool) -> None:
    done = subprocess.run([sys.executable, "-c", HUNG_UP, *words], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(ends)


def test_lost_terminal_is_not_written_to() -> None:
    """Writing to a terminal that is gone is an error, which would cost the last checkpoint."""
    code = "import os; from hilserl import interrupt; interrupt._silence([1]); print('x'); os.write(1, b'y')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b""
