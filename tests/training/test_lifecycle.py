"""Run directories are opened, locked and resumed."""

from pathlib import Path

import pytest

from hilserl.errors import HilserlError
from hilserl.runs.run_dir import RunDir
from hilserl.tasks import pick_cube
from hilserl.training.config_file import load_config
from hilserl.training.trainer import train
from tests.support.runs import WRITE_VIDEO, config


@pytest.fixture
def short_episodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pick_cube.PickCube, "max_episode_steps", 2)


@pytest.fixture(autouse=True)
def no_video(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the video, which takes longer than all the rest; one test writes it."""
    if "films" not in request.keywords:
        monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)


def test_existing_run_is_never_overwritten(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    run.path.mkdir()
    (run.path / "precious").write_text("data")
    with pytest.raises(HilserlError, match="--resume"):
        train(config(), run)
    assert (run.path / "precious").read_text() == "data"
    assert len(list(run.path.iterdir())) == 1


def test_resume_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HilserlError, match="no run"):
        train(config(), RunDir(tmp_path / "absent"), resume=True)


@pytest.mark.usefixtures("short_episodes")
def test_resumed_run_keeps_its_settings(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    train(config(demonstrations=0, max_env_steps=2), run)
    with pytest.raises(HilserlError, match="seed was 0, not 5"):
        train(config(demonstrations=0, seed=5), run, resume=True)


def test_run_is_locked_for_other_processes(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    train(config(demonstrations=0), run)
    more = config(demonstrations=0, max_env_steps=6)
    with run.locked(), pytest.raises(HilserlError, match="Another process is using"):
        train(more, run, resume=True)
    assert load_config(run.config).max_env_steps == 4, "and nothing was changed"
    assert train(more, run, resume=True) is not None
