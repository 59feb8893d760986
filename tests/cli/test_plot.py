"""Groups of runs on the command line: each run counts once, none is dropped."""

import json
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from hilserl.cli.main import main
from hilserl.runs.run_dir import RunDir
from hilserl.training.config_file import save_config
from tests.support.configs import train_config

RESULT = {
    "seed": 0,
    "env_steps": 500,
    "human_steps": 10,
    "human_seconds": 1.0,
    "demonstration_seconds": 5.0,
    "wall_seconds": 60.0,
    "evaluation": {"successes": 9, "episodes": 10, "success_rate": 0.9, "mean_episode_seconds": 2.0},
}


@pytest.fixture
def runs(tmp_path: Path) -> list[str]:
    """Two finished runs."""
    for seed in (0, 1):
        run = tmp_path / f"run{seed}"
        run.mkdir()
        (run / "config.json").write_text("{}")
        (run / "metrics.jsonl").write_text(json.dumps({"kind": "evaluation", "env_steps": 500, "success_rate": 0.9}))
        (run / "result.json").write_text(json.dumps({**RESULT, "seed": seed}))
    return [str(tmp_path / "run0"), str(tmp_path / "run1")]


def test_plot_joins_groups_with_the_same_label(
    runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "joined.png"
    assert main(["plot", f"a={runs[0]}", f"a={runs[1]}", "--out", str(out)]) == 0
    separately = capsys.readouterr().out
    assert main(["plot", f"a={runs[0]},{runs[1]}", "--out", str(out)]) == 0
    assert capsys.readouterr().out == separately
    assert "| a | 0 | 500 |" in separately
    assert "| a | 1 | 500 |" in separately
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def begun(tmp_path: Path) -> RunDir:
    """A run in progress, with one evaluation."""
    run = RunDir(tmp_path / "begun")
    run.create()
    save_config(run.config, train_config("pick_cube", seed=7))
    records = [
        {"kind": "episode", "env_steps": 640, "human_steps": 30, "wall_seconds": 90.0},
        {
            "kind": "evaluation",
            "env_steps": 500,
            "success_rate": 0.4,
            "successes": 4,
            "episodes": 10,
            "wall_seconds": 80.0,
        },
    ]
    run.metrics.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return run


def test_plot_draws_a_run_in_progress_and_says_so(
    runs: list[str], begun: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    labels: list[str] = []
    monkeypatch.setattr("hilserl.runs.plots._save", lambda figure, _: labels.extend(figure_labels(figure)))
    assert main(["plot", f"done={runs[0]}", f"both={runs[1]},{begun.path}", "--out", str(tmp_path / "x.png")]) == 0
    said = capsys.readouterr().out
    assert "| both | 7 | 640 | 30 | 1.5 | in progress: 4 of 10 at 500 |" in said
    assert "In progress, drawn up to the last evaluation: 1 of 3 runs." in said
    assert said.count("| both | 1 |") == 2, "the finished one is in both tables"
    assert labels == ["done", "both (1 in progress)"]


@pytest.mark.parametrize("evaluated", [True, False])
def test_plot_needs_no_finished_run(
    begun: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], evaluated: bool
) -> None:
    if not evaluated:
        begun.metrics.write_text("")
    out = tmp_path / "alone.png"
    assert main(["plot", f"a={begun.path}", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "in progress: 4 of 10 at 500" in said if evaluated else "in progress: none yet" in said
    assert "95 % interval" not in said
    assert out.read_bytes().startswith(b"\x89PNG")


def test_plot_names_a_run_without_a_record(begun: RunDir, capsys: pytest.CaptureFixture[str]) -> None:
    begun.metrics.unlink()
    assert main(["plot", f"a={begun.path}"]) == 1
    assert f"The run in {begun.path} has nothing to plot yet" in capsys.readouterr().err


def figure_labels(figure: Figure) -> list[str]:
    """Return the labels in a figure's legend."""
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_plot_refuses_a_run_named_twice(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = str(Path(runs[1]) / ".." / "run0")
    out = tmp_path / "twice.png"
    for groups in ([f"a={runs[0]},{again}"], [f"a={runs[0]}", f"a={again}"]):
        assert main(["plot", *groups, "--out", str(out)]) == 1
        assert "named twice" in capsys.readouterr().err
    assert not out.exists()
    assert main(["plot", f"a={runs[0]}", f"b={again}", "--out", str(out)]) == 0
