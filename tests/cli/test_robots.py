"""The command `robots`: a table, images, and findings about files."""

from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.sim.robot_models.registry import ROBOTS
from tests.support.own_robot import write_own_robot


def test_robots_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robots"]) == 0
    rows = capsys.readouterr().out.split("\n\n")[0].splitlines()[1:]
    assert [row.split()[0] for row in rows] == list(ROBOTS)
    assert "5" in rows[-1].split()
    assert max(map(len, rows)) <= 120


def test_robots_are_drawn(tmp_path: Path) -> None:
    assert main(["robots", "--draw", str(tmp_path)]) == 0
    assert {path.stem for path in tmp_path.glob("*.png")} == set(ROBOTS)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A robot's file, with the description that the check has written."""
    path = write_own_robot(tmp_path_factory.mktemp("own"))
    assert main(["robots", "check", str(path), "--write"]) == 0
    return path


def test_check_writes_what_it_then_approves(checked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robots", "check", str(checked)]) == 0
    shown = capsys.readouterr().out
    assert "The tool reaches all corners of its workspace." in shown
    assert "pick_cube: yes" in shown
    assert checked.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_check_names_the_corners_that_are_missed(checked: Path, capsys: pytest.CaptureFixture[str]) -> None:
    beside = checked.with_suffix(".toml")
    lines = beside.read_text().split("\n")
    changed = ["high_m = [0.55, 0.3, 0.15]" if line.startswith("high_m") else line for line in lines]
    beside.write_text("\n".join(changed))
    try:
        assert main(["robots", "check", str(checked)]) == 1
    finally:
        beside.write_text("\n".join(lines))
    assert "draw this corner of [workspace] in" in capsys.readouterr().out


def test_check_without_a_file_says_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["robots", "check"]) == 1
    assert "hilserl robots check FILE.xml" in capsys.readouterr().err


def test_train_with_an_unknown_robot_names_the_nearest(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["train", "pick_cube", "--robot", "so100", "--obs", "state", "--run-dir", str(tmp_path / "run")]
    assert main(words) == 1
    assert "Unknown robot 'so100'. Did you mean 'so101'?" in capsys.readouterr().err
