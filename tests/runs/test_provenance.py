"""Origin of figures: every part is found on this machine, or None."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from hilserl.runs.provenance import provenance


def test_provenance_names_machine_versions_and_day() -> None:
    before = datetime.now(UTC).strftime("%Y-%m-%d")
    found = provenance()
    assert before <= found.date <= datetime.now(UTC).strftime("%Y-%m-%d")
    assert re.match(r"\d+ cores? of \S", found.machine)
    assert int(found.machine.split()[0]) == len(os.sched_getaffinity(0))
    assert found.versions["mujoco"] == version("mujoco")


def test_commit_is_that_of_the_checkout_and_marked_if_files_differ(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.org")
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout.strip()

    assert provenance(tmp_path).commit is None
    git("init", "--quiet")
    (tmp_path / "a").write_text("a")
    git("add", "a")
    git("commit", "--quiet", "--message", "a")
    commit = git("rev-parse", "HEAD")
    assert provenance(tmp_path).commit == commit[:12]
    (tmp_path / "a").write_text("b")
    assert provenance(tmp_path).commit == f"{commit[:12]}-dirty"


def test_provenance_does_without_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    found = provenance()
    assert (found.gpu, found.commit) == (None, None)
