"""The command line: what exists is named, what is wrong is said, what is asked for is done."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hilserl import tasks
from hilserl.cli.arguments import parse_run
from hilserl.cli.main import VERBS, main
from hilserl.cli.train import TrainArguments
from hilserl.data.episode_summary import wilson_interval
from hilserl.data.episodes import read_episode
from hilserl.rollout.evaluation import Evaluation
from hilserl.training.config import preset
from hilserl.training.config_file import save_config
from tests.support.configs import changed
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
def short_film(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hilserl.rollout.video._MAX_FILM_S", 0.1)
    monkeypatch.setattr("hilserl.tasks.pick_cube.PickCube.max_episode_steps", 40)


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)


def test_the_installed_command_runs() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hilserl", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("hilserl 0.")


@pytest.mark.parametrize("buffered", ["", "1"])
def test_who_reads_may_leave_early(buffered: str) -> None:
    """As `hilserl tasks | head -1` does; there is nobody to tell, and no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [Path(sys.executable).parent / "hilserl", "--version"],
        stdout=writing, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": buffered}, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_a_run_that_goes_on_may_be_told_again_what_it_is(tmp_path: Path) -> None:
    """A switch that is on already can be given again, and can be taken back."""
    folder = tmp_path / "run"
    folder.mkdir()
    save_config(folder / "config.json", changed(preset("pick_cube"), free_running=True, randomise=True))
    words = ["--resume", "--run-dir", str(folder)]
    for more, expected in (
        ([], (True, True)),
        (["--async", "--randomise"], (True, True)),
        (["--no-randomise"], (True, False)),
    ):
        config = parse_run("train", ["pick_cube", *words, *more], TrainArguments).config
        assert (config.free_running, config.env.randomise) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trian"], "Did you mean 'train'?"),
        (["train", "pickcube"], "Did you mean 'pick_cube'?"),
        (["eval", "no/such/run"], "There is no run in no/such/run"),
        (["plot", "no/such/run"], "expected LABEL=RUN_DIR"),
        (["plot", "label=no/such/run"], "There is no run in no/such/run"),
        (["plot"], "nothing to plot"),
        (["train", "pick_cube", "--cameras", "frnt"], "Did you mean 'front'?"),
        (["bench", "simm"], "Did you mean 'sim'?"),
        (["train", "pick_cube", "--seed", "-3"], "negative"),
        (["train", "pick_cube", "--resume", "--run-dir", "no/such/run"], "There is no run"),
    ],
)
def test_mistakes_are_answered_with_what_exists(
    capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    assert main(words) == 1
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize("words", [["train"], ["record", "--out", "x"]])
def test_command_without_a_task_says_what_to_type(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"usage: hilserl {words[0]} TASK")
    assert f"for example: hilserl {words[0]} pick_cube" in said
    assert "Tasks: flip_object" in said


def test_an_unknown_flag_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "pick_cube", "--max-env-stepz", "3"])
    assert end.value.code == 2
    assert "--max-env-steps" in capsys.readouterr().err


def test_an_unknown_choice_names_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "pick_cube", "--operator", "ghost"])
    assert "scripted" in capsys.readouterr().err


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


def test_tasks_are_drawn_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tasks", "--draw", str(tmp_path)]) == 0
    drawn = capsys.readouterr().out
    for name in tasks.names():
        assert str(tmp_path / f"{name}.png") in drawn
        assert (tmp_path / f"{name}.png").stat().st_size > 1000


def test_train_resume_and_eval(
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

    figures, film = tmp_path / "eval.json", tmp_path / "film.mp4"
    words = ["eval", str(run), "--episodes", "2", "--seed", "5", "--json", str(figures)]
    assert main([*words, "--video", str(film)]) == 0
    assert "of 2 episodes succeed" in capsys.readouterr().out
    written = json.loads(figures.read_text())
    assert set(written) == {
        "successes", "episodes", "success_rate", "wilson_95", "mean_episode_steps", "mean_episode_seconds",
        "mean_return", "tells_success", "return_to_reach", "solved",
    }  # fmt: skip
    assert film.stat().st_size > 1000
    assert main(words) == 0
    assert json.loads(figures.read_text()) == written, "an evaluation repeats"
    assert main([*words, "--randomise", "on"]) == 0
    assert main(["plot", f"one={run},{run}", f"other={run}", "--out", str(tmp_path / "plot.png")]) == 0
    assert capsys.readouterr().out.count("| one | 0 | 9 |") == 2
    assert (tmp_path / "plot.png").stat().st_size > 5000
    assert main(["eval", str(run), "--checkpoint", "77"]) == 1
    assert "best, last" in capsys.readouterr().err


def test_record_keeps_successes_only_and_never_overwrites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demos"
    words = ["record", "pick_cube", "--successes", "3", "--seed", "4", "--out", str(out)]
    assert main(words) == 0
    episodes = [read_episode(path)[0] for path in sorted(out.iterdir())]
    assert len(episodes) == 3
    assert all(e[-1].success and e[-1].terminated for e in episodes)
    assert all(step.intervened for e in episodes for step in e[1:])
    assert main(words) == 1
    assert "not empty" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "again")]) == 0
    for path in out.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), "one seed, same demonstrations"


def test_doctor_says_what_works(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "ok   opengl" in text
    assert "All is well." in text


def test_wilson_interval_against_published_values() -> None:
    """Brown, Cai and DasGupta (2001); 10 of 10 and 0 of 10 are the well-known 0.722 and 0.278."""
    assert wilson_interval(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-3)
    assert wilson_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-3)
    assert wilson_interval(50, 100) == pytest.approx((0.4038, 0.5962), abs=1e-3)
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert str(Evaluation(9, 10, 20.0, 2.0)).startswith("9 of 10 episodes succeed (95 % interval 59.6 to 98.2 %)")
