"""Files and directories are written whole or not at all."""

import shutil
import sys
from pathlib import Path

import pytest

from hilserl.errors import HilserlError
from hilserl.files import LOCK, atomically, locked, new_directory, remove_directory, tidy


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


def test_atomic_write_replaces_only_if_it_may(tmp_path: Path) -> None:
    target = tmp_path / "file"
    atomically(target, lambda part: part.write_text("old"), replace=False)
    with pytest.raises(HilserlError, match="exists already"):
        atomically(target, lambda part: part.write_text("new"), replace=False)
    assert target.read_text() == "old"
    atomically(target, lambda part: part.write_text("new"))
    assert target.read_text() == "new"


def test_full_disk_is_a_clear_error(tmp_path: Path) -> None:
    def full(part: Path) -> None:
        raise OSError(28, "No space left on device", str(part))

    with pytest.raises(HilserlError, match="No space left"):
        atomically(tmp_path / "file", full)
    with pytest.raises(HilserlError, match="No space left"), new_directory(tmp_path / "directory") as part:
        full(part)
    assert not list(tmp_path.iterdir())


def test_file_in_place_of_a_directory_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here first")
    with pytest.raises(HilserlError, match="Cannot write"):
        atomically(tmp_path / "file" / "inside", lambda part: part.write_text("new"))
    assert (tmp_path / "file").read_text() == "here first"


def test_directory_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "directory"

    def write(name: str, *, whole: bool = True, replace: bool = False) -> None:
        with new_directory(target, replace=replace) as part:
            (part / name).touch()
            if not whole:
                raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write("new", whole=False)
    assert not list(tmp_path.iterdir())
    write("old")
    with pytest.raises(HilserlError, match="exists already"):
        write("new")
    with pytest.raises(RuntimeError):
        write("new", whole=False, replace=True)
    assert [path.name for path in target.iterdir()] == ["old"]
    write("new", replace=True)
    assert [path.name for path in target.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [target]


def test_directory_may_have_links_and_read_only_files(tmp_path: Path) -> None:
    """A virtual environment has links to a program that runs."""
    target = tmp_path / "directory"
    with new_directory(target) as part:
        (part / "python").symlink_to(Path(sys.executable).resolve())
        (part / "dangling").symlink_to("nothing")
        (part / "read-only").write_text("content")
        (part / "read-only").chmod(0o444)
    assert (target / "python").is_symlink()
    assert (target / "dangling").is_symlink()
    assert (target / "read-only").read_text() == "content"


def test_tidy_finishes_what_a_kill_left(tmp_path: Path) -> None:
    """A kill between the two renames of a replacement brings the old directory back."""
    for name in (".5.old", ".6.part", ".7.removed", ".8.old", "8"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "state.json").write_text(name)
    (tmp_path / ".9.part").write_text("torn")
    (tmp_path / LOCK).touch()
    tidy(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"5", "8", LOCK}
    assert (tmp_path / "5" / "state.json").read_text() == ".5.old"
    assert (tmp_path / "8" / "state.json").read_text() == "8"


def test_removed_directory_is_renamed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "5"
    target.mkdir()

    def killed(path: Path, ignore_errors: bool = False) -> None:
        assert path
        if not ignore_errors:
            raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove_directory(target)
    assert [path.name for path in tmp_path.iterdir()] == [".5.removed"]


def test_locked_directory_is_made_and_kept_from_others(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    with locked(directory), pytest.raises(HilserlError, match="Another process is using"), locked(directory):
        pass
    with locked(directory):
        pass


def test_lock_where_nothing_can_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HilserlError, match="Cannot write in"), locked(tmp_path / "file" / "inside"):
        pass
