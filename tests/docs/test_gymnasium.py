"""The page about Gymnasium: its code runs as it stands there."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.source_code import REPOSITORY

PAGE = REPOSITORY / "docs" / "gymnasium.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def packages_of(block: str) -> set[str]:
    """Return the packages that a block imports."""
    return set(re.findall(r"^(?:import|from) (\w+)", block, re.MULTILINE))


def is_runnable(block: str) -> bool:
    """Return True if all packages of a block are installed."""
    return all(importlib.util.find_spec(name) for name in packages_of(block))


def test_page_has_code_with_and_without_other_packages() -> None:
    known = {"functools", "gymnasium", "numpy", "hilserl"}
    others = [packages_of(block) - known for block in BLOCKS if packages_of(block) - known]
    assert others == [{"stable_baselines3"}, {"torchrl"}]
    assert len(BLOCKS) == 5


@pytest.mark.parametrize("block", [block for block in BLOCKS if is_runnable(block)])
def test_code_of_the_page_runs(block: str, tmp_path: Path) -> None:
    """In a file, as a spawned process imports the file that made it."""
    compile(block, str(PAGE), "exec")
    (tmp_path / "program.py").write_text(block)
    subprocess.run([sys.executable, "program.py"], cwd=tmp_path, check=True, timeout=300)


@pytest.mark.parametrize("block", [block for block in BLOCKS if not is_runnable(block)])
def test_code_for_other_packages_parses(block: str) -> None:
    compile(block, str(PAGE), "exec")
