"""The command `doctor`."""

import pytest

from hilserl.cli.main import main


def test_doctor_names_each_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert "ok   opengl" in text
    assert "All is well." in text
