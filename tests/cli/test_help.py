"""Help texts: at most 40 flags by default, everything on request."""

import re
from collections.abc import Callable

import pytest

from hilserl import tasks
from hilserl.cli.main import VERBS, main

MAX_FLAGS = 40
MAX_WIDTH = 120

Help = Callable[..., str]


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")


@pytest.fixture
def help_of(capsys: pytest.CaptureFixture[str]) -> Help:
    """Return a function that returns the help of a command line."""

    def show(*words: str) -> str:
        with pytest.raises(SystemExit) as end:
            main(words)
        assert end.value.code == 0
        return capsys.readouterr().out

    return show


def flags_in(text: str) -> list[str]:
    return re.findall(r"(?m)^(?:[│|] |  )(?:-h, )?(--[a-z.-]+[a-z])(?=[\s,])", text)


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_each_command_is_short(help_of: Help, verb: str) -> None:
    text = help_of(verb, "--help")
    assert text.startswith(f"usage: hilserl {verb}")
    assert len(flags_in(text)) <= MAX_FLAGS
    assert max(map(len, text.splitlines())) <= MAX_WIDTH


@pytest.mark.parametrize("verb", ["sweep", "compare"])
def test_help_of_many_seeds_has_no_single_one(help_of: Help, verb: str) -> None:
    assert {"--seeds", "--seed"} & {*flags_in(help_of(verb, "--help"))} == {"--seeds"}


def test_train_help_names_the_tasks(help_of: Help) -> None:
    text = help_of("train", "--help")
    assert text.startswith("usage: hilserl train [-h] [OPTIONS] TASK\n")
    words = set(re.findall(r"\w+", text))
    assert set(tasks.names()) <= words
    assert "depends on TASK" in text


def test_train_help_shows_the_defaults_of_a_task(help_of: Help) -> None:
    text = help_of("train", "pick_cube", "--help")
    assert "depends on TASK" not in text
    assert "(default: 8000)" in text


def test_help_all_shows_every_group(help_of: Help) -> None:
    flags = flags_in(help_of("train", "pick_cube", "--help-all"))
    assert len(flags) > MAX_FLAGS
    for flag in ("--agent.discount", "--agent.vision.encoder", "--console.gamepad.dead-zone", "--robot.compliance"):
        assert flag in flags


@pytest.mark.parametrize(
    ("words", "shown", "hidden"),
    [
        (["--operator", "gamepad"], "--console.gamepad.dead-zone", "--console.spacemouse.dead-zone"),
        (["--operator=spacemouse"], "--console.spacemouse.dead-zone", "--console.gamepad.dead-zone"),
        (["--operator", "console"], "--console.port", "--console.gamepad.dead-zone"),
        (["--operator", "phone"], "--console.phone.scale", "--console.lerobot.scale"),
        (["--operator", "lerobot"], "--console.lerobot.scale", "--console.phone.scale"),
        (["--env", "robot"], "--robot.compliance", "--console.port"),
        (["--agent.discount", "0.9"], "--agent.utd-ratio", "--agent.vision.encoder"),
    ],
)
def test_choice_shows_the_group_that_belongs_to_it(help_of: Help, words: list[str], shown: str, hidden: str) -> None:
    flags = flags_in(help_of("train", "pick_cube", *words, "--help"))
    assert shown in flags
    assert hidden not in flags


def test_short_names_stay_visible(help_of: Help) -> None:
    short = (
        *("obs", "cameras", "randomise", "operator", "demos", "demonstrations", "reward", "classifier", "seed"),
        *("run-dir", "resume", "async", "algorithm", "max-env-steps", "max-minutes", "eval-every", "eval-episodes"),
        *("env", "server"),
    )
    assert {f"--{name}" for name in short} <= set(flags_in(help_of("train", "--help")))
