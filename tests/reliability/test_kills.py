"""A kill at any write, sync or rename loses nothing that was acknowledged, and what is left is read or named.

`HILSERL_CASES=1000` makes as many schedules.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.support.source_code import REPOSITORY

CASES = os.environ.get("HILSERL_CASES", "50")


MEMORY = Path("/dev/shm")
"""A file system in memory: its system calls are those of a disk, and quicker."""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a schedule is a forked process")
def test_kill_at_any_call_loses_nothing_acknowledged() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as directory:
        command = [sys.executable, "-m", "tests.support.kills", directory, CASES]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
