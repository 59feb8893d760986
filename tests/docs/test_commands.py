"""Commands, links and file names in the documentation exist."""

import contextlib
import functools
import inspect
import io
import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tyro

from hilserl.cli import main as command_line
from tests.support.markdown import commands, files, flag_spans, flags, links, pages, targets
from tests.support.source_code import REPOSITORY

PAGES = [pytest.param(page, id=page.relative_to(REPOSITORY).as_posix()) for page in pages()]


class Parsed(BaseException):
    """The command line was parsed."""


@pytest.fixture
def parse_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops every verb once its flags are parsed."""
    parse = tyro.cli

    def parse_and_stop(form: Any, **options: Any) -> Any:
        parse(form if inspect.isclass(form) else without_effect(form), **options)
        raise Parsed

    monkeypatch.setattr(tyro, "cli", parse_and_stop)


def without_effect(function: Callable[..., object]) -> Callable[..., object]:
    """Return a function with the same signature that does nothing.

    tyro calls the function that it parses arguments for.
    """

    @functools.wraps(function)
    def stub(*arguments: object, **options: object) -> None:
        del arguments, options

    return stub


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.usefixtures("parse_only")
def test_commands_parse(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = []
    for line, words in commands(page):
        if len(words) == 1:
            assert words[0] in command_line.VERBS
            continue
        status: int | str | None = None
        try:
            status = command_line.main(words)
        except Parsed:
            continue
        except SystemExit as end:
            status = end.code
        shown = capsys.readouterr()
        if status != 0:
            wrong.append(f"{page.name}:{line}: hilserl {' '.join(words)}\n{shown.out}{shown.err}")
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def known_flags() -> set[str]:
    """Flags of all commands and of the soak test."""
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        # A narrow terminal would break long flags.
        patch.setenv("COLUMNS", "200")
        for verb, words in itertools.product(command_line.VERBS, (["--help"], ["pick_cube", "--help-all"])):
            with contextlib.suppress(SystemExit):
                command_line.main([verb, *words])
        with contextlib.suppress(SystemExit):
            command_line.main(["robot-server", "--backend", "ros", "--help-all"])
    return {*flags(shown.getvalue()), *flags((REPOSITORY / "scripts" / "soak.py").read_text())}


@pytest.mark.parametrize("page", PAGES)
def test_flags_exist(page: Path, known_flags: set[str]) -> None:
    assert flag_spans(page) <= known_flags


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page: Path) -> None:
    missing = [link for link in links(page) if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_files_exist(page: Path) -> None:
    roots = (REPOSITORY, REPOSITORY / "src", REPOSITORY / "src" / "hilserl")
    missing = [name for name in files(page) if not any((root / name).exists() for root in roots)]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page: Path) -> None:
    known = set(re.findall(r"^([a-z][\w-]*):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    assert targets(page) <= known
