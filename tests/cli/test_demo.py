"""The command `demo`: a video without a display, and mistakes."""

from pathlib import Path
from typing import Any

import av
import pytest

from hilserl.cli import demo
from hilserl.cli.main import main
from hilserl.policies.built_in import built_in_tasks


@pytest.fixture(autouse=True)
def no_display(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)


def test_demo_writes_a_video_without_a_display(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("hilserl.rollout.video.VIDEO_EPISODES", 1)
    assert main(["demo"]) == 0
    assert "Video: demo-pick_cube.mp4" in capsys.readouterr().out
    with av.open("demo-pick_cube.mp4") as video:
        assert sum(1 for _ in video.decode(video=0)) > 10


@pytest.mark.parametrize("words", [["demo", "--console.view", "web"], ["demo", "pick-cube", "--console.view", "web"]])
def test_demo_opens_the_console_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    driven: list[Any] = []
    monkeypatch.setattr(demo, "drive", lambda *given: driven.append(given))
    assert main(words) == 0
    env, _, role, *_ = driven[0]
    assert not role.drives
    assert role.real_time
    assert "; or Tab takes over" in capsys.readouterr().out
    assert env.experience.task == "pick_cube"
    assert not list(Path().iterdir())


def test_demo_names_the_tasks_that_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "gymnasium:InvertedPendulum-v5"]) == 1
    assert "pick_cube" in capsys.readouterr().err


def test_demo_help_shows_that_the_task_may_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_status:
        main(["demo", "--help"])
    assert exit_status.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "usage: hilserl demo [-h] [TASK]" in text
    assert "required" not in text
    assert "default: pick_cube" in text
    assert all(task in text for task in built_in_tasks())
