"""A kill at any write, sync or rename loses nothing that was acknowledged, and what is left is read or named.

`HILSERL_CASES=1000` makes as many schedules.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source_code import REPOSITORY

CASES = os.environ.get("HILSERL_CASES", "50")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a schedule is a forked process")
def test_kill_at_any_call_loses_nothing_acknowledged(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.support.kills", str(tmp_path), CASES]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
