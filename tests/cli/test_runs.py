"""Runs are checked and episodes are set aside from the command line."""

from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.training.config import preset
from hilserl.training.config_file import save_config
from tests.support.configs import changed


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    save_config(tmp_path / "config.json", changed(preset("pick_cube"), obs="state"))
    (tmp_path / "episodes").mkdir()
    return tmp_path


def test_check_counts_damaged_files(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "check", str(run_dir)]) == 0
    assert "no damaged files" in capsys.readouterr().out
    (run_dir / "episodes" / "000003.parquet").write_bytes(b"PAR1")
    (run_dir / "config.json").write_text("[]")
    assert main(["runs", "check", str(run_dir)]) == 1
    said = capsys.readouterr().out
    assert "2 damaged files" in said
    assert "000003.parquet" in said


def test_quarantine_sets_an_episode_aside(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run_dir / "episodes" / "000003.parquet").touch()
    assert main(["runs", "quarantine", str(run_dir)]) == 1
    assert "Name an episode" in capsys.readouterr().err
    assert main(["runs", "quarantine", str(run_dir), "3"]) == 0
    assert (run_dir / "quarantine" / "000003.parquet").exists()


def test_runs_needs_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", "check", str(tmp_path / "nowhere")]) == 1
    assert "There is no run" in capsys.readouterr().err
