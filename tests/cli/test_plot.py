"""Groups of runs on the command line: each run counts once, none is dropped."""

import json
from pathlib import Path

import pytest

from hilserl.cli.main import main

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


def test_plot_refuses_a_run_named_twice(runs: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = str(Path(runs[1]) / ".." / "run0")
    out = tmp_path / "twice.png"
    for groups in ([f"a={runs[0]},{again}"], [f"a={runs[0]}", f"a={again}"]):
        assert main(["plot", *groups, "--out", str(out)]) == 1
        assert "named twice" in capsys.readouterr().err
    assert not out.exists()
    assert main(["plot", f"a={runs[0]}", f"b={again}", "--out", str(out)]) == 0
