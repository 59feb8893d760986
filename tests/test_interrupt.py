"""A Ctrl-C ends what it should, whenever it comes."""

import subprocess
import sys

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
