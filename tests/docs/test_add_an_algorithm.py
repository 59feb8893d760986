"""The page that tells how to add an algorithm: its example trains and takes part in the benchmark."""

import re
from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.comparison.methods import METHODS, find_method
from hilserl.runs.run_dir import RunDir
from hilserl.training.algorithms import Algorithm
from tests.support.source_code import REPOSITORY

PAGE = (REPOSITORY / "docs" / "add_an_algorithm.md").read_text()


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page's algorithm in a file, named as the page names it."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "dear_help.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    return "dear_help.py:DearHelp"


def test_algorithm_of_the_page_trains(example: str, tmp_path: Path) -> None:
    tiny = ("--demonstrations", "1", "--max-env-steps", "4", "--training-starts", "1", "--final-eval-episodes", "1")
    small = ("--agent.hidden", "16", "--agent.num-critics", "2", "--agent.utd-ratio", "2", "--agent.batch-size", "8")
    command = ["train", "pick_cube", "--obs", "state", "--algorithm", example, "--agent.no-return-floor", "--no-video"]
    assert main([*command, "--run-dir", "run", "--eval-episodes", "1", *tiny, *small]) == 0
    assert RunDir(tmp_path / "run").read_result()["algorithm"] == f"{tmp_path.resolve()}/{example}"


def test_algorithm_of_the_page_is_a_method_of_the_benchmark(example: str) -> None:
    method = find_method(example)
    assert method.name == "DearHelp"
    assert method.settings["agent.return_floor"] is False


def test_questions_of_the_page_exist() -> None:
    rows = re.findall(r"^\| `(\w+)", PAGE.split("## Other questions")[1], re.MULTILINE)
    assert len(rows) == 7
    assert all(hasattr(Algorithm, name) for name in rows)


def test_methods_of_the_benchmark_s_page_are_those_that_exist() -> None:
    page = (REPOSITORY / "docs" / "benchmark.md").read_text()
    assert re.findall(r"^\| `([\w-]+)` \|", page.split("## Protocol")[0], re.MULTILINE) == list(METHODS)
