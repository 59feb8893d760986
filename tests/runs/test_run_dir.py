"""A run's directory is used by one run and one process."""

from pathlib import Path

import pytest

from hilserl.errors import HilserlError
from hilserl.runs.run_dir import RunDir


def test_create_refuses_a_directory_with_content(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("data")
    with pytest.raises(HilserlError, match="--resume"):
        RunDir(tmp_path).create()
    with pytest.raises(HilserlError, match="is a file"):
        RunDir(tmp_path / "precious").create()


def test_lock_is_released(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    with run_dir.locked(), pytest.raises(HilserlError, match="Another process is using"), run_dir.locked():
        pass
    with run_dir.locked():
        pass


def test_untouched_run_is_removed_and_others_stay(tmp_path: Path) -> None:
    for name, stays in (("a", False), ("b", True)):
        run_dir = RunDir(tmp_path / name)
        run_dir.create()
        run_dir.config.write_text("{}")
        if stays:
            run_dir.metrics.write_text("")
        run_dir.remove_untouched()
        assert run_dir.path.exists() == stays


def test_missing_result_is_named(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match="no result that can be read"):
        RunDir(tmp_path).read_result()
    with pytest.raises(HilserlError, match=r"no config\.json"):
        RunDir(tmp_path).require()
