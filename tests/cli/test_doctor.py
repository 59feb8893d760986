"""The command `doctor`."""

import pytest

from hilserl.cli import doctor, machine_checks
from hilserl.cli.machine_checks import CHECKS, CheckResult
from hilserl.cli.main import main


def test_doctor_names_each_check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    # The suite may run on a busy machine.
    monkeypatch.setattr(doctor, "check_all", lambda: machine_checks.check_all(120))
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert [line.split()[1] for line in text.splitlines()[:-1]] == list(CHECKS)
    assert "ok   opengl" in text
    assert "All is well." in text


def test_doctor_prints_the_command_below_each_fault(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = {
        "disk": CheckResult(True, "9 GB free here"),
        "video": CheckResult(False, "no encoder", "pip install av"),
    }
    monkeypatch.setattr(doctor, "check_all", lambda: findings)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok   disk        9 GB free here",
        "FAIL video       no encoder",
        "                 pip install av",
        "1 of 2 checks failed.",
    ]


def test_patience_of_the_checks_is_below_ten_seconds() -> None:
    assert machine_checks.PATIENCE_S < 10
