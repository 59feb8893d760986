"""The tutorials' commands run one after the other, with few steps and a simulated operator."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilserl.cli import main as command_line
from tests.support.markdown import commands
from tests.support.runs import WRITE_VIDEO
from tests.support.source_code import REPOSITORY

TUTORIALS = ("first_policy", "demonstrations", "reward_classifier", "own_task")
"""Tutorials whose commands end by themselves in one process."""
NEEDS_HANDS = {"play", "replay", "doctor"}
"""Commands that open the console, or that have tests without a page."""
TINY = {
    "train": (
        *("--demonstrations", "1", "--max-env-steps", "4", "--training-starts", "1", "--eval-episodes", "1"),
        *("--final-eval-episodes", "1", "--agent.hidden", "16", "--agent.num-critics", "2", "--agent.utd-ratio", "2"),
        *("--agent.batch-size", "8", "--cloning-updates", "4"),
    ),
    "eval": ("--episodes", "1"),
    "record": ("--successes", "2"),
    "label": ("--successes", "40"),
}
"""Flags that make a command short, in place of the page's own."""


def with_flags(words: list[str], flags: tuple[str, ...]) -> list[str]:
    """Replace flags of one value."""
    kept = list(words)
    for name, value in zip(flags[::2], flags[1::2], strict=True):
        if name in kept:
            at = kept.index(name)
            del kept[at : at + 2]
        kept += [name, value]
    return kept


def runnable(page: Path) -> Iterator[list[str]]:
    """Yield the command lines of a page that need no human, each made short."""
    for _, words in commands(page):
        verb = words[0]
        if verb in NEEDS_HANDS or len(words) == 1 or "human" in words or any("mistakes" in word for word in words):
            continue
        if verb == "label" and "--operator" not in words:
            continue
        # `bc` has no flag for smaller networks.
        if verb == "bc":
            words = ["train", *words[1:], "--algorithm", "bc"]
        words = ["scripted" if word == "console" else word for word in words]
        yield with_flags(words, TINY.get(words[0], ()))


@pytest.mark.slow
@pytest.mark.parametrize("name", TUTORIALS)
def test_tutorial_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
    lines = list(runnable(REPOSITORY / "docs" / "tutorials" / f"{name}.md"))
    assert len(lines) >= 3
    for words in lines:
        if words[0] in ("record", "label"):
            # The page records by hand, or else by script, into the same directory.
            shutil.rmtree(words[words.index("--out") + 1], ignore_errors=True)
        assert command_line.main(words) == 0, words
