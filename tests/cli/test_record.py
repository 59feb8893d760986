"""The command `record`."""

from pathlib import Path

import pytest

from hilserl.cli.main import main
from hilserl.data.episodes import read_episode


def test_record_keeps_successes_only_and_never_overwrites(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilserl.tasks.pick_cube.PickCube.max_episode_steps", 40)
    out = tmp_path / "demos"
    words = ["record", "pick_cube", "--successes", "3", "--seed", "4", "--out", str(out)]
    assert main(words) == 0
    episodes = [read_episode(path)[0] for path in sorted(out.iterdir())]
    assert len(episodes) == 3
    assert all(e[-1].success and e[-1].terminated for e in episodes)
    assert all(step.intervened for e in episodes for step in e[1:])
    assert main(words) == 1
    assert "not empty" in capsys.readouterr().err
    assert main([*words[:-1], str(tmp_path / "again")]) == 0
    for path in out.iterdir():
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), "one seed, same demonstrations"
