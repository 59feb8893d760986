"""The command `export`: what it writes, `eval` and `play` take."""

import json
from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.runs.run_dir import RunDir
from hilserl.training.trainer import train
from tests.support.runs import WRITE_VIDEO, config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run_dir = RunDir(tmp_path_factory.mktemp("export") / "run")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WRITE_VIDEO, lambda *_: None)
        patch.setattr("hilserl.tasks.pick_cube.PickCube.max_episode_steps", 20)
        train(config(), run_dir)
    return run_dir.path


def test_export_is_evaluated_as_the_run_is(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilserl.tasks.pick_cube.PickCube.max_episode_steps", 20)
    out, figures = tmp_path / "policy", []
    assert main(["export", str(run), "--out", str(out)]) == 0
    for directory in (run, out):
        assert main(["eval", str(directory), "--episodes", "2", "--json", str(tmp_path / "figures.json")]) == 0
        figures.append((tmp_path / "figures.json").read_text())
    assert figures[0] == figures[1]


def test_export_keeps_the_figures_of_the_run(run: Path, tmp_path: Path) -> None:
    assert main(["export", str(run), "--out", str(tmp_path / "policy"), "--precision", "float16"]) == 0
    figures = json.loads((tmp_path / "policy" / "policy.json").read_text())["figures"]
    assert figures["result"] == json.loads((run / "result.json").read_text())
    assert figures["checkpoint"]["env_steps"] == 4


def test_export_refuses_a_directory_without_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "There is no run in" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
