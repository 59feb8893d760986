"""Checks of this machine: each fault is named with the command that mends it."""

import shutil
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from hilserl.cli import machine_checks
from hilserl.cli.machine_checks import CHECKS, GL_PACKAGES, Check, check_all, check_here
from hilserl.policies import built_in
from tests.support.source_code import REPOSITORY


@pytest.mark.parametrize("name", ["python", "packages", "policies", "simulation", "video", "console", "disk"])
def test_check_passes_where_the_suite_runs(name: str) -> None:
    finding = check_here(name)
    assert finding.passed, finding
    assert not finding.command


@pytest.mark.parametrize(
    ("requirement", "fault"),
    [
        ("no-such-package>=2", "no-such-package is missing"),
        ("numpy<1", "numpy is "),
    ],
)
def test_packages_that_do_not_fit_are_named_with_their_installation(
    monkeypatch: pytest.MonkeyPatch, requirement: str, fault: str
) -> None:
    monkeypatch.setattr(machine_checks, "requires", lambda _: ["absent; extra == 'dev'", requirement])
    finding = check_here("packages")
    assert not finding.passed
    assert finding.text.startswith(fault)
    assert finding.command.endswith(f'-m pip install "{requirement}"')


def test_taken_port_of_the_learner_is_answered_with_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        taken = server.getsockname()[1]
        patch.setattr(machine_checks, "LEARNER_PORT", taken)
        finding = check_here("port")
    assert f"127.0.0.1:{taken}" in finding.text
    free = int(finding.command.rpartition(":")[2])
    assert free != taken
    assert finding.command == f"hilserl learner pick_cube --listen 127.0.0.1:{free}"


def test_full_disk_is_answered_with_what_takes_the_space(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0.4e9))
    finding = check_here("disk")
    assert finding.text == "0.4 GB are free here; a run wants 2 GB"
    assert finding.command.startswith("du -sh ")


def test_absent_weights_are_answered_with_a_reinstallation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(built_in, "built_in_policy", lambda task: tmp_path / task)
    finding = check_here("policies")
    assert f"not in {tmp_path}" in finding.text
    assert "--force-reinstall" in finding.command


def test_opengl_that_cannot_be_loaded_is_one_fault_with_one_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "CHECKS", {name: CHECKS[name] for name in ("opengl", "simulation", "disk")})
    monkeypatch.setenv("MUJOCO_GL", "no_such_library")
    findings = check_all(60)
    # What draws nothing needs no OpenGL.
    assert {name for name, finding in findings.items() if finding.passed} == {"disk", "simulation"}
    assert findings["opengl"].text.startswith("OpenGL cannot be loaded: Invalid MUJOCO_GL='no_such_library'")
    assert findings["opengl"].command == "unset MUJOCO_GL"


def test_crashed_checks_name_the_signal_or_the_last_line() -> None:
    crashed = machine_checks.fault_of("video", -11, "")
    assert (crashed.text, crashed.command) == ("ended by SIGSEGV", CHECKS["video"].mend())
    missing = machine_checks.fault_of("video", 1, "Traceback\nModuleNotFoundError: No module named 'av'")
    assert missing.text == "ModuleNotFoundError: No module named 'av'"
    assert "--force-reinstall" not in missing.command


def test_check_that_hangs_is_ended_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_checks, "CHECKS", {"python": Check(lambda: "", lambda: "")})
    finding = check_all(0.0)["python"]
    assert not finding.passed
    assert finding.text.startswith("no answer within")
    assert finding.command.endswith("-m hilserl.cli.machine_checks python")


def test_opengl_s_packages_are_those_that_make_installs() -> None:
    assert f'apt.sh" {" ".join(GL_PACKAGES)}' in (REPOSITORY / "scripts" / "software_gl.sh").read_text()
