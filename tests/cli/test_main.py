"""The command `hilserl`: verbs, mistakes and exit statuses."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hilserl.cli.main import VERBS, main


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)


def test_installed_command_runs() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "hilserl", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("hilserl 0.")


@pytest.mark.parametrize("buffered", ["", "1"])
def test_reader_may_close_the_pipe_early(buffered: str) -> None:
    """`hilserl tasks | head -1` ends without a traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [Path(sys.executable).parent / "hilserl", "--version"],
        stdout=writing, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": buffered}, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


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
        (["train", "pick_cube", "--seed", "-3"], "Invalid seed -3: expected at least 0"),
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


def test_unknown_flag_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "pick_cube", "--max-env-stepz", "3"])
    assert end.value.code == 2
    assert "--max-env-steps" in capsys.readouterr().err


def test_unknown_choice_names_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "pick_cube", "--operator", "ghost"])
    assert "scripted" in capsys.readouterr().err
