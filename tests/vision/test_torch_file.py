"""Old PyTorch checkpoints are read without running their code, and anything else is refused."""

import pickle
from pathlib import Path

import pytest

from hilserl.errors import HilserlError
from hilserl.vision import efficientnet
from hilserl.vision.torch_file import read_torch_file


def test_cut_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(efficientnet.weights_path().read_bytes()[:200_000])
    with pytest.raises(HilserlError, match=r"cut\.pth"):
        read_torch_file(path)


class Evil:
    def __reduce__(self):
        return (print, ("this must never run",))


def test_file_that_would_run_code_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(HilserlError, match="no file of weights needs"):
        read_torch_file(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({"a": 1}), pickle.dumps([1, 2])])
def test_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pth"
    path.write_bytes(content)
    with pytest.raises(HilserlError, match=r"other\.pth"):
        read_torch_file(path)
