"""Tasks of other packages, found by their entry points."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hilserl

GOOD = """
from hilserl.tasks.pick_cube import PickCube

class Other(PickCube):
    name = "other_task"
"""


def listed(
    directory: Path,
    source: str,
    target: str = "other_tasks:Other",
    command: tuple[str, ...] = ("-m", "hilserl", "tasks"),
) -> subprocess.CompletedProcess[str]:
    """Run Python where a package `others` is installed whose entry point is `target`."""
    (directory / "other_tasks.py").write_text(source)
    info = directory / "others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[hilserl.tasks]\nother_task = {target}\n")
    path = os.pathsep.join([str(directory), str(Path(hilserl.__file__).parents[1])])
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def test_package_adds_a_task(tmp_path: Path) -> None:
    done = listed(tmp_path, GOOD)
    assert done.returncode == 0, done.stderr
    assert "other_task:" in done.stdout
    assert "hilserl/OtherTask-v0" in done.stdout
    assert "pick_cube:" in done.stdout


@pytest.mark.parametrize(
    ("source", "target", "why"),
    [
        ("1 / 0", "other_tasks:Other", "ZeroDivisionError"),
        (GOOD, "other_tasks:Absent", "Absent"),
        (GOOD, "no_such_module:Other", "no_such_module"),
        ("Other = 3", "other_tasks:Other", "derived from hilserl.sim.task.Task"),
        (GOOD.replace("other_task", "pick_cube"), "other_tasks:Other", "'pick_cube'"),
    ],
)
def test_broken_plug_in_is_named(tmp_path: Path, source: str, target: str, why: str) -> None:
    done = listed(tmp_path, source, target)
    assert done.returncode == 1
    for word in ("others", "'other_task'", target, why):
        assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_gymnasium_makes_it_by_its_name_alone(tmp_path: Path) -> None:
    code = "import gymnasium; print(gymnasium.make('hilserl.tasks:hilserl/OtherTask-v0').unwrapped.experience.task)"
    done = listed(tmp_path, GOOD, command=("-W", "ignore", "-c", code))
    assert done.stdout.strip() == "other_task", done.stderr
