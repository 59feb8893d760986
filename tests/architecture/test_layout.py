"""Sizes of files, classes and functions, and where they are."""

from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from tests.support.source_code import (
    PACKAGE,
    REPOSITORY,
    TESTS,
    SourceFile,
    files_of_package,
    files_of_tests,
    package_directories,
    python_files,
)

MAX_FILES_PER_DIRECTORY = 15
MAX_SOURCE_LINES = 350
MAX_MEDIAN_SOURCE_LINES = 120
MAX_TEST_LINES = 500
MAX_CLASS_LINES = 200
MAX_FUNCTION_LINES = 50
"""Test files may have longer tables of cases."""
CROWDED = {PACKAGE / "cli"}
"""One file a verb."""
BESIDE_THE_PACKAGE = {"reliability", "architecture", "docs", "examples", "packages", "support"}
"""Directories of tests without a directory of the package."""


def all_files() -> tuple[SourceFile, ...]:
    """Return the files of package, tests, scripts, examples and small distributions."""
    beside = (REPOSITORY / name for name in ("scripts", "examples", "benchmarks", "packages"))
    return (*files_of_package(), *files_of_tests(), *(file for path in beside for file in python_files(path)))


def test_directories_hold_at_most_15_files() -> None:
    counts = Counter(file.path.parent for file in files_of_package())
    crowded = {str(path): count for path, count in counts.items() if count > MAX_FILES_PER_DIRECTORY}
    assert not crowded.keys() - {str(path) for path in CROWDED}


def test_source_files_stay_short() -> None:
    long = {file.name: file.num_lines for file in files_of_package() if file.num_lines > MAX_SOURCE_LINES}
    assert not long


def test_source_files_have_at_most_120_lines_in_the_median() -> None:
    sizes = [file.num_lines for file in files_of_package() if file.path.name != "__init__.py"]
    assert median(sizes) <= MAX_MEDIAN_SOURCE_LINES


def test_test_files_stay_short() -> None:
    long = {file.name: file.num_lines for file in files_of_tests() if file.num_lines > MAX_TEST_LINES}
    assert not long


def test_classes_stay_short() -> None:
    long = [
        f"{file.place(node)}: {node.name}"
        for file in all_files()
        for node in file.classes()
        if (node.end_lineno or 0) - node.lineno >= MAX_CLASS_LINES
    ]
    assert not long, "\n".join(long)


def test_functions_stay_short() -> None:
    long = [
        f"{file.place(node)}: {node.name}"
        for file in all_files()
        for node in file.functions()
        if not file.path.name.startswith("test_")
        if (node.end_lineno or 0) - node.lineno >= MAX_FUNCTION_LINES
    ]
    assert not long, "\n".join(long)


def holds_code(directory: Path) -> bool:
    """Return True if a directory has more than `__init__.py`."""
    return any(path.name != "__init__.py" for path in (PACKAGE / directory).glob("*.py"))


@pytest.mark.parametrize("directory", [path for path in package_directories() if holds_code(path)], ids=str)
def test_tests_mirror_the_package(directory: Path) -> None:
    mirror = TESTS / directory
    assert (mirror / "__init__.py").exists()
    assert list(mirror.glob("test_*.py"))


def test_test_directories_have_a_directory_of_the_package() -> None:
    parts = {
        path.relative_to(TESTS) for file in files_of_tests() for path in file.path.parents if TESTS in path.parents
    }
    own = {path for path in parts if path.parts[0] not in BESIDE_THE_PACKAGE}
    assert own <= set(package_directories())


def test_package_directories_have_an_init_file() -> None:
    missing = [str(path) for path in package_directories() if not (PACKAGE / path / "__init__.py").exists()]
    assert not missing
