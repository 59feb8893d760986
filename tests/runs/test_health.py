"""Every damaged file of a run is named, and a bad episode can be set aside."""

import dataclasses
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from hilserl.agents.sac import create_sac_agent
from hilserl.data.episodes import write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError
from hilserl.runs.checkpoint import RunState, save_checkpoint
from hilserl.runs.health import quarantine, troubles
from hilserl.runs.metrics import MetricsLog
from hilserl.runs.run_dir import RunDir
from tests.support.batches import SMALL
from tests.support.steps import make_episode


@pytest.fixture
def run_dir(state_spec: ExperienceSpec, tmp_path: Path) -> RunDir:
    run_dir = RunDir(tmp_path / "run")
    run_dir.create()
    run_dir.config.write_text("{}")
    for episode in (0, 1, 2):
        steps = [dataclasses.replace(step, seed=episode) for step in make_episode(episode, 4, camera=False)]
        write_episode(run_dir.episodes / f"{episode:06d}.parquet", steps, state_spec)
    save_checkpoint(run_dir.checkpoints, create_sac_agent(state_spec, SMALL, 0), RunState(), 7)
    log = MetricsLog(run_dir.metrics)
    log.write("episode", 3, {"steps": 3})
    log.close()
    run_dir.result.write_text("{}")
    database = sqlite3.connect(run_dir.path / "incoming.sqlite")
    database.execute("CREATE TABLE entries (payload BLOB)")
    database.executemany("INSERT INTO entries VALUES (?)", [(bytes(5000),)] * 20)
    database.commit()
    database.close()
    return run_dir


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : 2 * len(data) // 3] = bytes(len(data) // 3)
    path.write_bytes(data)


def test_whole_run_has_no_troubles(run_dir: RunDir) -> None:
    seen: list[Path] = []
    assert not list(troubles(run_dir, seen.append))
    assert len(seen) == 7


@pytest.mark.parametrize("damage", [cut, overwritten])
@pytest.mark.parametrize(
    "name",
    [
        "episodes/000001.parquet",
        "checkpoints/7/agent.safetensors",
        "checkpoints/7/state.json",
        "metrics.jsonl",
        "incoming.sqlite",
    ],
)
def test_damaged_file_is_named(run_dir: RunDir, name: str, damage: Callable[[Path], None]) -> None:
    damage(run_dir.path / name)
    (trouble,) = troubles(run_dir)
    assert name.split("/")[0] in trouble


def test_repeated_episode_is_named(run_dir: RunDir) -> None:
    first = run_dir.episodes / "000000.parquet"
    (run_dir.episodes / "000007.parquet").write_bytes(first.read_bytes())
    (trouble,) = troubles(run_dir)
    assert "000007.parquet is the same episode as" in trouble


def test_quarantine_keeps_every_episode(run_dir: RunDir) -> None:
    data = (run_dir.episodes / "000001.parquet").read_bytes()
    assert quarantine(run_dir, 1).read_bytes() == data
    with pytest.raises(HilserlError, match=r"no episode 1\. Available: 0 to 2"):
        quarantine(run_dir, 1)
    (run_dir.episodes / "000001.parquet").write_bytes(b"another")
    assert quarantine(run_dir, 1).read_bytes() == b"another"
    assert (run_dir.quarantine / "000001.parquet").read_bytes() == data


def test_quarantine_waits_for_no_running_process(run_dir: RunDir) -> None:
    with run_dir.locked(), pytest.raises(HilserlError, match="Another process is using"):
        quarantine(run_dir, 1)
