"""The command `hilserl dataset` describes, checks and converts."""

from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.data.episodes import episode_files, read_episode
from tests.support.foreign import write_foreign_lerobot
from tests.support.recorded import SPEC, recorded_episode, same_episodes, write_recording


def test_info_describes_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_recording(tmp_path, (3, 4))
    assert main(["dataset", "info", str(tmp_path)]) == 0
    assert "2 of 2" in capsys.readouterr().out


def test_check_fails_where_something_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_recording(tmp_path / "good", (12, 9))
    sheet = tmp_path / "sheet.png"
    assert main(["dataset", "check", str(tmp_path / "good"), "--image", str(sheet)]) == 0
    assert sheet.stat().st_size
    assert "2 episodes: nothing found." in capsys.readouterr().out
    from hilserl.data.episodes import write_episode

    write_episode(tmp_path / "good" / "000009.parquet", recorded_episode(0, 12), SPEC)
    assert main(["dataset", "check", str(tmp_path / "good")]) == 1
    assert "duplicate: 000009.parquet" in capsys.readouterr().out


def test_convert_goes_both_ways(tmp_path: Path) -> None:
    episodes = write_recording(tmp_path / "a", (3, 4))
    assert main(["dataset", "convert", str(tmp_path / "a"), "--out", str(tmp_path / "b")]) == 0
    assert main(["dataset", "convert", str(tmp_path / "b"), "--out", str(tmp_path / "c")]) == 0
    back = [read_episode(path)[0] for path in episode_files(tmp_path / "c")]
    assert same_episodes(episodes, back, SPEC)


def test_convert_asks_for_a_mapping(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_foreign_lerobot(tmp_path / "a", (3, 4))
    assert main(["dataset", "convert", str(tmp_path / "a"), "--out", str(tmp_path / "b")]) == 1
    assert "--map suggest" in capsys.readouterr().err
    words = ["--map", "suggest", "--task", "pick_cube", "--obs", "state", "--out", str(tmp_path / "map.toml")]
    assert main(["dataset", "convert", str(tmp_path / "a"), *words]) == 0
    assert "It could not know" in capsys.readouterr().out
    words = ["--map", str(tmp_path / "map.toml"), "--out", str(tmp_path / "b")]
    assert main(["dataset", "convert", str(tmp_path / "a"), *words]) == 1
    assert "leaves open" in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["inform"], ["info", "nowhere"]])
def test_misuse_is_a_sentence(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", *words]) in (1, 2)
    assert capsys.readouterr().err


def test_help_shows_the_options_of_all_three(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["dataset", "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert all(flag in shown for flag in ("--image", "--map", "--gripper"))
