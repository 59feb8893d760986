"""Arguments of commands that train: defaults by task, resumed runs, run directories."""

from pathlib import Path

import pytest

from hilserl.cli.arguments import output_directory, parse_for_task, parse_run, run_dir_of
from hilserl.cli.parsing import UsageError, require_task
from hilserl.cli.train import TrainArguments
from hilserl.errors import HilserlError
from hilserl.training.config import preset
from hilserl.training.config_file import save_config
from tests.support.configs import changed


def test_resumed_run_takes_switches_again(tmp_path: Path) -> None:
    """A switch that is on can be given again, and can be turned off."""
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    save_config(run_dir / "config.json", changed(preset("pick_cube"), free_running=True, randomise=True))
    words = ["--resume", "--run-dir", str(run_dir)]
    for more, expected in (
        ([], (True, True)),
        (["--async", "--randomise"], (True, True)),
        (["--no-randomise"], (True, False)),
    ):
        config = parse_run("train", ["pick_cube", *words, *more], TrainArguments).config
        assert (config.free_running, config.env.randomise) == expected


def test_defaults_are_the_preset_of_the_task() -> None:
    arguments = parse_for_task("train", ["insert-ram", "--seed", "3"], TrainArguments)
    assert arguments.config == changed(preset("insert_ram"), seed=3)


def test_task_is_the_first_word() -> None:
    assert require_task("play", ["pick-cube", "--seed", "1"]) == ["pick_cube", "--seed", "1"]
    assert require_task("play", ["--help"]) == ["--help"]
    with pytest.raises(UsageError, match="hilserl play TASK"):
        require_task("play", ["--seed", "1"])


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "pick_cube-pixels-seed0"),
        ({"obs": "state", "seed": 4}, "pick_cube-state-seed4"),
        ({"algorithm": "sac"}, "pick_cube-pixels-seed0-sac"),
    ],
)
def test_run_directory_is_named_after_the_run(changes: dict[str, object], expected: str) -> None:
    assert run_dir_of(None, changed(preset("pick_cube"), **changes)).path == Path("runs") / expected


def test_directory_with_a_recording_needs_resume(tmp_path: Path) -> None:
    for _ in range(2):
        with output_directory(tmp_path, resume=False):
            pass
    (tmp_path / "000000.parquet").touch()
    with output_directory(tmp_path, resume=True):
        pass
    with pytest.raises(HilserlError, match="not empty"), output_directory(tmp_path, resume=False):
        pass
    with pytest.raises(HilserlError, match="is a file"), output_directory(tmp_path / "000000.parquet", resume=True):
        pass


def test_directory_is_used_by_one_process(tmp_path: Path) -> None:
    with (
        output_directory(tmp_path / "new", resume=True),
        pytest.raises(HilserlError, match="Another process"),
        output_directory(tmp_path / "new", resume=True),
    ):
        pass
