"""The commands `train`, `eval` and `plot` on one small run."""

import json
from pathlib import Path

import pytest

from hilserl.cli.main import main
from tests.support.runs import WRITE_VIDEO

TINY = {
    "--env.image-size": "32",
    "--demonstrations": "1",
    "--max-env-steps": "6",
    "--training-starts": "1",
    "--eval-every": "4",
    "--eval-episodes": "1",
    "--final-eval-episodes": "1",
    "--agent.hidden": "16",
    "--agent.num-critics": "2",
    "--agent.batch-size": "8",
    "--agent.utd-ratio": "2",
}
TINY_WORDS = [word for pair in TINY.items() for word in pair]


@pytest.fixture(autouse=True)
def short_episodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hilserl.tasks.pick_cube.PickCube.max_episode_steps", 40)


def test_train_then_resume_then_eval_then_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
    run = tmp_path / "run"
    assert main(["train", "pick_cube", "--run-dir", str(run), *TINY_WORDS]) == 0
    assert str(run / "curve.png") in capsys.readouterr().out
    assert main(["train", "pick_cube", "--run-dir", str(run), *TINY_WORDS]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main(["train", "pick_cube", "--run-dir", str(run), "--resume", "--max-env-steps", "9"]) == 0
    assert json.loads((run / "result.json").read_text())["env_steps"] == 9
    assert main(["train", "pick_cube", "--run-dir", str(run), "--resume", "--seed", "7"]) == 1
    assert "seed was 0, not 7" in capsys.readouterr().err

    figures, video = tmp_path / "eval.json", tmp_path / "video.mp4"
    words = ["eval", str(run), "--episodes", "2", "--seed", "5", "--json", str(figures)]
    assert main(words) == 0
    assert "of 2 episodes succeed" in capsys.readouterr().out
    written = json.loads(figures.read_text())
    assert set(written) == {
        "successes", "episodes", "success_rate", "wilson_95", "mean_episode_steps", "mean_episode_seconds",
        "mean_return", "tells_success", "return_to_reach", "solved",
    }  # fmt: skip
    assert main(words) == 0
    assert json.loads(figures.read_text()) == written, "an evaluation repeats"
    assert main([*words, "--randomise", "on"]) == 0
    assert main(["eval", str(run), "--episodes", "1", "--video", str(video)]) == 0
    assert video.stat().st_size > 1000
    assert main(["plot", f"one={run}", f"other={run}", "--out", str(tmp_path / "plot.png")]) == 0
    assert capsys.readouterr().out.count("| one | 0 | 9 |") == 1
    assert (tmp_path / "plot.png").stat().st_size > 5000
    assert main(["eval", str(run), "--checkpoint", "77"]) == 1
    assert "best, last" in capsys.readouterr().err
