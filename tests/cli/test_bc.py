"""The verb `bc` writes a run directory, and refuses a run without demonstrations."""

from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.errors import HilserlError
from hilserl.policies.loading import load_policy
from hilserl.runs.metrics import read_metrics
from hilserl.runs.run_dir import RunDir
from hilserl.tasks import pick_cube
from tests.support.runs import SMALL_AGENT, WRITE_VIDEO, config


def test_bc_writes_a_run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
    usual = config(agent=SMALL_AGENT)
    monkeypatch.setattr("hilserl.cli.bc.preset", lambda _: usual)
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 40)
    words = [
        "bc",
        "pick_cube",
        "--obs",
        "state",
        "--demonstrations",
        "10",
        "--updates",
        "16",
        "--final-eval-episodes",
        "3",
    ]
    assert main([*words, "--run-dir", str(tmp_path / "run")]) == 0
    run = RunDir(tmp_path / "run")
    assert run.read_result()["algorithm"] == "bc"
    assert run.read_result()["evaluation"]["episodes"] == 3
    assert run.curve.stat().st_size > 10_000
    assert [record["update_steps"] for record in read_metrics(run.metrics, "evaluation")] == [2, 4, 6, 8]
    assert "held_out_continuous_error" in read_metrics(run.metrics, "cloning")[-1]
    assert load_policy(run).checkpoint.name in {"2", "4", "6", "8"}


def test_cloning_without_demonstrations_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    algorithms: tuple[str, ...] = ("bc", "hg-dagger")
    for algorithm in algorithms:
        with pytest.raises(HilserlError, match=f"{algorithm} clones demonstrations, and there are none"):
            config(algorithm=algorithm, demonstrations=0)
    assert main(["bc", "pick_cube", "--demonstrations", "0"]) == 1
    assert "Invalid --demonstrations 0" in capsys.readouterr().err
