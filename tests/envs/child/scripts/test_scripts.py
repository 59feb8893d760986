"""Experts of known packages need nothing but their package."""

import pytest

from tests.support.source_code import PACKAGE, SourceFile, python_files

SCRIPTS = [file for file in python_files(PACKAGE / "envs" / "child" / "scripts") if file.path.name != "__init__.py"]


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.path.name)
def test_scripts_need_their_package_alone(file: SourceFile) -> None:
    used = {name.split(".")[0] for name in file.imports()}
    assert used <= {"numpy", "gymnasium", "warnings", file.path.stem.removeprefix("for_")}
