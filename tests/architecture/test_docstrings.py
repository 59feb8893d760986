"""Docstrings exist and begin with one short, plain sentence."""

import ast
import re
from statistics import mean

from tests.support.source_code import PACKAGE, REPOSITORY, SourceFile, files_of_package, files_of_tests, python_files

WH_WORD = re.compile(r"(what|where|how|who|whose|whether|which|why|when)\b", re.IGNORECASE)
MAX_WORDS = 12
MAX_MEAN_WORDS = 9
BESIDE = tuple(file for name in ("scripts", "examples") for file in python_files(REPOSITORY / name))


def documented_files() -> tuple[SourceFile, ...]:
    """Return the files whose public definitions need docstrings."""
    return (*files_of_package(), *BESIDE)


def test_docstrings_never_begin_with_a_wh_word() -> None:
    found = [
        f"{docstring.name}: {docstring.first_line}"
        for file in (*documented_files(), *files_of_tests())
        for docstring in file.docstrings()
        if WH_WORD.match(docstring.text.strip())
    ]
    assert not found, "\n".join(found)


def test_modules_have_docstrings() -> None:
    missing = [file.name for file in (*documented_files(), *files_of_tests()) if ast.get_docstring(file.tree) is None]
    assert not missing, "\n".join(missing)


def test_public_definitions_have_docstrings() -> None:
    missing = [
        f"{file.place(node)}: {name}"
        for file in documented_files()
        for name, node in file.public_definitions()
        if ast.get_docstring(node) is None and not overrides(node)
    ]
    assert not missing, "\n".join(missing)


def overrides(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return True for an overload or a documented base method."""
    names = {ast.unparse(decorator).split(".")[-1] for decorator in node.decorator_list}
    return bool(names & {"override", "overload", "setter"})


def test_first_sentences_have_at_most_12_words() -> None:
    long = [
        f"{docstring.name}: {docstring.first_sentence}"
        for file in documented_files()
        for docstring in file.docstrings()
        if len(docstring.first_sentence.split()) > MAX_WORDS
    ]
    assert not long, "\n".join(long)


def test_first_sentences_have_at_most_9_words_on_average() -> None:
    sizes = [len(docstring.first_sentence.split()) for file in documented_files() for docstring in file.docstrings()]
    assert mean(sizes) <= MAX_MEAN_WORDS


def test_first_sentences_stand_on_one_line_and_end_with_a_full_stop() -> None:
    found = [
        f"{docstring.name}: {docstring.first_line}"
        for file in documented_files()
        for docstring in file.docstrings()
        if not docstring.first_line.endswith((".", "!", "?", ":"))
    ]
    assert not found, "\n".join(found)


def test_init_files_say_in_one_sentence_what_their_directory_holds() -> None:
    found = []
    for file in files_of_package():
        if file.path.name == "__init__.py" and file.path.parent != PACKAGE:
            summary = (ast.get_docstring(file.tree) or "").strip().split("\n\n")[0]
            if "\n" in summary or ". " in summary or not summary.endswith(".") or re.search(r"\band\b", summary):
                found.append(f"{file.name}: {summary}")
    assert not found, "\n".join(found)
