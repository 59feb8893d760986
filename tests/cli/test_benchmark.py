"""The command `benchmark`: runs, figures, and going on after a stop."""

import json
from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.distributed import sweep
from hilserl.errors import HilserlError
from hilserl.interrupt import Interrupt
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import TrainConfig

TINY = ["max_env_steps=4", "demonstrations=1", "eval_episodes=1", "final_eval_episodes=1", "training_starts=1"]
SMALL = ["agent.hidden=16", "agent.num_critics=2", "agent.utd_ratio=2", "agent.batch_size=8", "cloning_updates=4"]


def words(out: Path, *more: str) -> list[str]:
    common = [word for setting in (*TINY, *SMALL, "env.max_episode_steps=60") for word in ("--set", setting)]
    chosen = ["--tasks", "pick_cube", "--methods", "bc", "hilserl", "--people", "steady", "--seeds", "0"]
    return ["benchmark", *chosen, *common, "--out", str(out), *more]


def test_benchmark_trains_once_and_reports_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(words(out)) == 0
    assert "2 of 2: pick_cube hilserl steady, seed 0" in capsys.readouterr().out
    record = json.loads((out / "benchmark.json").read_text())
    assert record["command"].startswith("hilserl benchmark --tasks pick_cube")
    assert record["provenance"]["machine"]
    assert [(run["method"], run["env_steps"]) for run in record["runs"]] == [("bc", 0), ("hilserl", 4)]
    assert (out / "table.md").read_text().count("\n") == 4
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert not list(out.rglob("policy.mp4"))

    assert main(words(out)) == 1
    assert "--resume" in capsys.readouterr().err
    elsewhere = tmp_path / "again.json"
    assert main(words(out, "--resume", "--record", str(elsewhere))) == 0
    again = json.loads(elsewhere.read_text())
    assert again["runs"] == record["runs"]
    assert "--resume" not in again["command"]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """The runs that `train` was called for, and whether they were resumed; each fails or is interrupted."""
    calls: list[tuple[str, bool]] = []

    def train(config: TrainConfig, run: RunDir, *, resume: bool, interrupt: Interrupt, progress: object) -> None:
        del progress
        calls.append((config.algorithm, resume))
        if config.algorithm == "bc":
            raise HilserlError("there is no room")
        run.config.parent.mkdir(parents=True, exist_ok=True)
        run.config.write_text("{}")
        interrupt.requested = True

    monkeypatch.setattr(sweep, "train", train)
    return calls


def test_benchmark_goes_on_after_a_failure_and_resumes_after_an_interrupt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trained: list[tuple[str, bool]]
) -> None:
    assert main(words(tmp_path / "out")) == 130
    shown = capsys.readouterr()
    assert "hilserl steady, seed 0: interrupted" in shown.out
    assert "there is no room" in shown.err
    assert main(words(tmp_path / "out", "--resume")) == 130
    assert trained == [("bc", False), ("rlpd", False), ("bc", False), ("rlpd", True)]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--methods", "magic"], "Unknown method 'magic'"),
        (["--people", "lazzy"], "Did you mean 'lazy'"),
        (["--tasks", "pick_cub"], "Did you mean 'pick_cube'"),
        (["--seeds", "x"], "Invalid seeds 'x'"),
        (["--set", "max_env_steps=1,2"], "takes one"),
        (["--set", "agent.utd=1"], "Unknown setting of AgentConfig 'utd'"),
    ],
)
def test_benchmark_of_what_does_not_exist_is_refused(
    tmp_path: Path, more: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", "--out", str(tmp_path / "out"), *more]) == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
