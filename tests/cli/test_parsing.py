"""Numbers that no command can use are refused before anything opens."""

from pathlib import Path

import pytest

from hilserl.cli.arguments import parse_for_task
from hilserl.cli.main import main
from hilserl.cli.sweep import SweepArguments

MISTAKES = [
    (["robot-server", "--backend", "sim", "--port", "99999"], "Invalid --port 99999"),
    (["record", "pick_cube", "--out", "x", "--seed", "-1"], "Invalid --seed -1"),
    (["label", "pick_cube", "--out", "x", "--seed", "-1"], "Invalid --seed -1"),
    (["play", "pick_cube", "--seed", "-1"], "Invalid --seed -1"),
    (["eval", "x", "--seed", "-5"], "Invalid --seed -5"),
    (["eval", "x", "--episodes", "0"], "Invalid --episodes 0"),
    (["train", "pick_cube", "--max-minutes", "nan"], "Invalid max_minutes nan"),
    (["train", "pick_cube", "--max-env-steps", "0"], "Invalid max_env_steps 0"),
    (["train", "pick_cube", "--agent.discount", "1.5"], "Invalid discount 1.5"),
    (["train", "pick_cube", "--agent.learning-rate", "inf"], "Invalid learning_rate inf"),
    (["train", "pick_cube", "--console.port", "-1"], "Invalid console.port -1"),
]


@pytest.mark.parametrize(("words", "complaint"), MISTAKES)
def test_parse_refuses_numbers_out_of_range(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    complaint: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    assert complaint in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "words",
    [["--seed", "1", "--seed=2"], ["--demos", "a", "--demos", "b"], ["--randomise", "--no-randomise"]],
)
def test_flag_that_is_given_twice_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The last one would win in silence."""
    assert main(["train", "pick_cube", *words]) == 1
    assert f"{words[0]} is given 2 times" in capsys.readouterr().err


def test_flag_that_may_be_repeated_is_taken_again() -> None:
    words = ["pick_cube", "--set", "seed=1,2", "--set", "agent.utd_ratio=1,4"]
    assert parse_for_task("sweep", words, SweepArguments).set == ("seed=1,2", "agent.utd_ratio=1,4")
