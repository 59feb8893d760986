"""The distribution: metadata, container, notebook, and the built wheel in an empty directory."""

import contextlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.runs import WRITE_VIDEO
from tests.support.source_code import REPOSITORY

PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
CONTAINERFILE, NOTEBOOK = REPOSITORY / "Containerfile", REPOSITORY / "notebooks" / "hosted_gpu.ipynb"


def test_citation_has_the_package_s_version_and_licence() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])
    arxiv = {reference["identifiers"][0]["value"] for reference in citation["references"]}
    assert arxiv == {"arXiv:2410.21845", "arXiv:2302.02948"}


def test_classifiers_name_the_tested_pythons() -> None:
    script = (REPOSITORY / "scripts" / "test_wheel.sh").read_text()
    tested = set(re.findall(r"\$\(find_python ([\d.]+)\)", script))
    classified = {name.rpartition(" ")[2] for name in PROJECT["classifiers"] if "Python :: 3." in name}
    assert classified == tested
    assert min(tested) == PROJECT["requires-python"].removeprefix(">=")


def test_extras_of_the_install_page_exist() -> None:
    page = (REPOSITORY / "docs" / "install.md").read_text()
    table = page.split("## Optional parts")[1].split("##")[0]
    named = {name for row in re.findall(r"^\| (`.+?`) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == PROJECT["optional-dependencies"].keys()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return next(directory.glob("*.whl"))


def test_wheel_has_what_the_package_reads_and_is_small(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = {path for path in (REPOSITORY / "src").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    expected = {path.relative_to(REPOSITORY / "src").as_posix() for path in tracked}
    assert expected <= names
    assert not {name for name in names if name.startswith(("tests/", "docs/", "build/"))}
    assert wheel.stat().st_size < 6e6


@pytest.fixture
def empty_python(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A virtual environment without hilserl, and the environment variables to use it.

    It borrows the installed dependencies, so that no package index is needed.
    """
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    borrowed = next((venv / "lib").glob("python*/site-packages")) / "borrowed.pth"
    borrowed.write_text(sysconfig.get_path("purelib") + "\n")
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "DISPLAY")}
    # pip reads this one the other way around: 0 is without isolation.
    pip = {"PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1", "PIP_IGNORE_INSTALLED": "1"}
    return venv / "bin", {**kept, **pip, "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}"}


@pytest.mark.slow
def test_wheel_works_in_an_empty_directory(
    wheel: Path, tmp_path: Path, empty_python: tuple[Path, dict[str, str]]
) -> None:
    python, variables = empty_python
    empty = tmp_path / "empty"
    empty.mkdir()

    def run(*words: str) -> str:
        done = subprocess.run(words, cwd=empty, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(str(python / "pip"), "install", "--quiet", str(wheel))
    assert str(tmp_path) in run(str(python / "python"), "-c", "import hilserl; print(hilserl.__file__)")
    # What `hilserl doctor` does, with patience for a busy machine.
    checks = (
        "from hilserl.cli import machine_checks as c; print([f for f in c.check_all(300).values() if not f.passed])"
    )
    assert run(str(python / "python"), "-c", checks).strip() == "[]"
    run(str(python / "hilserl"), "demo", "--video", "demo.mp4")
    small = ("--max-env-steps", "200", "--demonstrations", "2", "--eval-episodes", "2", "--final-eval-episodes", "2")
    run(str(python / "hilserl"), "train", "pick_cube", "--obs", "state", *small, "--run-dir", "run")
    assert (empty / "demo.mp4").stat().st_size > 10_000
    assert json.loads((empty / "run" / "result.json").read_text())["env_steps"] == 200


def instructions() -> Iterator[tuple[str, str]]:
    """Yield the instructions of the Containerfile with their words."""
    for line in CONTAINERFILE.read_text().splitlines():
        if line and not line.startswith("#"):
            keyword, _, rest = line.partition(" ")
            yield keyword, rest


@pytest.mark.slow
def test_container_s_steps_run_in_an_empty_directory(tmp_path: Path, empty_python: tuple[Path, dict[str, str]]) -> None:
    root, (_, variables) = tmp_path / "root", empty_python
    here, entry = root, []
    for keyword, rest in instructions():
        if keyword == "WORKDIR":
            here = root / rest.lstrip("/")
            here.mkdir(parents=True)
        elif keyword == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(REPOSITORY / source, here / target, as_directory=target.endswith("/"))
        elif keyword == "RUN":
            subprocess.run(["sh", "-c", rest], cwd=here, env=variables, check=True)
        elif keyword in ("ENTRYPOINT", "CMD"):
            entry += json.loads(rest)
        else:
            assert keyword == "FROM"
    subprocess.run(entry, cwd=here, env=variables, check=True)
    assert (here / "demo.mp4").stat().st_size > 10_000


def copy(source: Path, target: Path, *, as_directory: bool) -> None:
    """Copy a file or a directory as the instruction COPY does."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target / source.name if as_directory else target)


def cells() -> list[dict[str, Any]]:
    return json.loads(NOTEBOOK.read_text())["cells"]


def test_notebook_has_no_outputs_and_distinct_names() -> None:
    names = [cell["id"] for cell in cells()]
    assert len(names) == len(set(names))
    assert not [cell["id"] for cell in cells() if cell.get("outputs") or cell.get("execution_count")]


@pytest.mark.slow
def test_notebook_runs_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[Any] = []
    display = types.ModuleType("IPython.display")
    vars(display).update(display=shown.append, Image=Path, Video=lambda path, embed: (Path(path), embed))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    monkeypatch.setattr(WRITE_VIDEO, lambda path, *_: path.touch())
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for cell in cells():
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"cell {cell['id']}", "exec"), names)
        if "parameters" in cell["metadata"].get("tags", ()):
            assert {"MAX_ENV_STEPS", "DEMONSTRATIONS", "EVAL_EPISODES", "OBS"} <= names.keys()
            names |= {"MAX_ENV_STEPS": 20, "DEMONSTRATIONS": 1, "EVAL_EPISODES": 1, "OBS": "state"}
    figure, curve, (video, embed) = shown
    assert len(figure.axes) == 2
    assert curve.exists()
    assert video.exists()
    assert embed
    assert "of 1 successes after 20 steps" in capsys.readouterr().out


def test_shell_scripts_of_the_containers_parse() -> None:
    for _, rest in instructions():
        with contextlib.suppress(json.JSONDecodeError):
            assert shlex.split(rest)
    for script in (REPOSITORY / "scripts").glob("*.sh"):
        subprocess.run(["sh", "-n", str(script)], check=True)
