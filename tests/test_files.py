"""Files are written whole or not at all."""

from pathlib import Path

import pytest

from hilserl.errors import HilserlError
from hilserl.files import atomically


def test_atomic_write_is_all_or_nothing(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("old")

    def half_way(part: Path) -> None:
        part.write_text("ne")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        atomically(target, half_way)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    def full(part: Path) -> None:
        raise OSError(28, "No space left on device", str(part))

    with pytest.raises(HilserlError, match="No space left"):
        atomically(tmp_path / "file", full)
    assert not list(tmp_path.iterdir())


def test_file_in_place_of_a_directory_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    with pytest.raises(HilserlError, match="Cannot write"):
        atomically(tmp_path / "file" / "inside", lambda part: part.write_text("new"))
    assert (tmp_path / "file").read_text() == "here first"
