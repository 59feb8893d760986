"""The command `tasks`: tables of at most 100 columns, and rendered images."""

from pathlib import Path

import pytest

from hilserl import tasks
from hilserl.cli.main import main


def test_tasks_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks"]) == 0
    shown = capsys.readouterr().out
    assert "hilserl/PickCube-v0" in shown
    rows = {line.split()[0]: line for line in shown.split("\n\n")[0].splitlines()[1:]}
    assert rows.keys() == set(tasks.names())
    assert "4: dx dy dz gripper" in rows["pick_cube"]
    assert "front wrist" in rows["pick_cube"]
    assert max(map(len, shown.splitlines())) <= 100
    (pattern,) = [line.removeprefix("Images: ") for line in shown.splitlines() if line.startswith("Images: ")]
    for name in rows:
        assert Path(pattern.replace("TASK", name)).read_bytes().startswith(b"\x89PNG"), f"{name} has an image"


def test_tasks_are_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--draw", str(tmp_path)]) == 0
    rendered = capsys.readouterr().out
    for name in tasks.names():
        assert str(tmp_path / f"{name}.png") in rendered
        assert (tmp_path / f"{name}.png").stat().st_size > 1000
