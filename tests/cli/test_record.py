"""The command `record`."""

from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.data.episodes import read_episode
from hilserl.tasks.pick_cube import PickCube
from tests.support.recordings import contents


def test_record_keeps_successes_only_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilserl.tasks.pick_cube.PickCube.max_episode_steps", 40)
    out = tmp_path / "demos"
    words = ["record", "pick_cube", "--successes", "3", "--seed", "4", "--out", str(out)]
    assert main(words) == 0
    episodes = [read_episode(path)[0] for path in sorted(out.glob("*.parquet"))]
    assert len(episodes) == 3
    assert all(e[-1].success and e[-1].terminated for e in episodes)
    assert all(step.intervened for e in episodes for step in e[1:])
    assert main(words) == 1
    assert "not empty" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "again")]) == 0
    for path in out.glob("*.parquet"):
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), "one seed, same demonstrations"


@pytest.mark.parametrize("verb", ["record", "label"])
def test_directory_with_content_needs_resume(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb: str) -> None:
    (tmp_path / "precious").write_text("data")
    assert main([verb, "pick_cube", "--out", str(tmp_path)]) == 1
    assert "--resume" in capsys.readouterr().err
    assert contents(tmp_path) == {"precious": b"data"}


def test_record_resumes_to_what_one_recording_would_have_been(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(PickCube, "max_episode_steps", 17)
    words = ["record", "pick_cube", "--obs", "state", "--keep-failures", "--out"]
    assert main([*words, str(tmp_path / "a"), "--successes", "3"]) == 0
    for successes in ("1", "3"):
        assert main([*words, str(tmp_path / "b"), "--resume", "--successes", successes]) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert capsys.readouterr().out.count("3 demonstrations") == 2


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["record", "--out", "x", "--operator", "console", "--episode-seconds", "0.01"], "control step"),
        (["label", "--out", "x", "--episode-seconds", "0"], "control step"),
        (["play", "--episode-seconds", "0"], "control step"),
        (["record", "--out", "x", "--successes", "0"], "Invalid --successes 0: expected at least 1"),
        (["label", "--out", "x", "--successes", "0"], "Invalid --successes 0: expected at least 1"),
    ],
)
def test_mistakes_are_reported_before_anything_opens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list, complaint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([words[0], "pick_cube", *words[1:]]) == 1
    assert complaint in capsys.readouterr().err
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("verb", ["record", "label"])
def test_file_in_place_of_the_directory_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], verb) -> None:
    (tmp_path / "file").write_text("here first")
    assert main([verb, "pick_cube", "--out", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err
