"""Whatever goes wrong becomes a sentence with an exit status, never a traceback."""

import errno
import os
from pathlib import Path

import pytest

from hilserl.cli import main as command_line
from hilserl.cli.failures import explain
from hilserl.errors import HilserlError


@pytest.fixture(autouse=True)
def traces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def raised(error: Exception) -> Exception:
    """Return the error with the traceback of a raise."""
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


def test_bug_is_a_sentence_with_a_file(traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(raised(KeyError("weights"))) == 70
    said = capsys.readouterr().err
    (file,) = traces.glob("hilserl-*.traceback")
    assert "This is a bug in hilserl: KeyError: 'weights'" in said
    assert str(file) in said
    assert "Traceback" not in said
    assert "test_failures.py" in file.read_text()


def test_bug_without_room_for_a_file_shows_its_traceback(
    traces: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(traces / "missing"))
    assert explain(raised(ValueError("odd"))) == 70
    assert "test_failures.py" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_refusal_of_the_system_is_no_bug(number: int, traces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(OSError(number, os.strerror(number), "/disk/file")) == 1
    assert capsys.readouterr().err == f"hilserl: {os.strerror(number)}: /disk/file\n"
    assert not list(traces.iterdir())


def test_memory_that_runs_out_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(MemoryError()) == 1
    assert "not enough memory" in capsys.readouterr().err


def test_command_line_explains_errors_of_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from hilserl.cli import doctor

    for error, status in ((HilserlError("Unplugged."), 1), (ZeroDivisionError("x"), 70)):

        def fail(words: list[str], error: Exception = error) -> int:
            assert not words
            raise error

        monkeypatch.setattr(doctor, "run", fail)
        assert command_line.main(["doctor"]) == status
        assert "Traceback" not in capsys.readouterr().err
