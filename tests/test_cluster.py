"""Runs on a local Ray cluster go on when what Ray started for them is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hilserl.experience import read_episode
from hilserl.training.wire import EPISODES_PER_ACTOR

pytestmark = pytest.mark.chaos
DEADLINE_S = 420.0
SMALL = (
    *("--obs", "state", "--demonstrations", "1", "--training-starts", "1", "--eval-every", "100000"),
    *("--final-eval-episodes", "1", "--agent.hidden", "16", "16", "--agent.batch-size", "8", "--agent.utd-ratio", "1"),
    *("--max-rounds-per-step", "0.5"),
)


def start(*words: str, log: Path) -> subprocess.Popen:
    with log.open("w") as file:
        return subprocess.Popen([sys.executable, "-m", "hilserl", *words, *SMALL], stdout=file, stderr=file)


def descendants(process: subprocess.Popen, title: str) -> list[int]:
    """Of the cluster that a command started: processes whose title begins so."""
    session = os.getsid(process.pid)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0].decode().startswith(title) and os.getsid(int(entry.name)) == session:
                    found.append(int(entry.name))
            except (OSError, ProcessLookupError):
                continue
    return found


def wait_for(condition, process: subprocess.Popen, log: Path):
    deadline = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)
    return found


def check_episodes(folder: Path) -> None:
    """Every episode that was recorded is whole and in order, and no other one came between."""
    files = sorted(int(path.stem) for path in (folder / "episodes").glob("*.parquet"))
    assert files
    for number in {episode // EPISODES_PER_ACTOR for episode in files}:
        own = [episode for episode in files if episode // EPISODES_PER_ACTOR == number]
        # An episode that was cut before its first step leaves no file.
        assert own[0] >= number * EPISODES_PER_ACTOR
        assert own == sorted(set(own))
    for episode in files:
        steps, _ = read_episode(folder / "episodes" / f"{episode:06d}.parquet")
        assert {step.episode for step in steps} == {episode}


def test_a_sweep_is_complete_though_an_actor_and_a_learner_are_killed(tmp_path: Path) -> None:
    log, out = tmp_path / "log", tmp_path / "sweep"
    words = ("sweep", "pick_cube", "--seeds", "0..2", "--actors", "1", "--max-env-steps", "250", "--out", str(out))
    process = start(*words, log=log)
    try:
        wait_for(lambda: list(out.glob("*/seed*/episodes/*.parquet")), process, log)
        (victim,) = wait_for(lambda: descendants(process, "ray::_act")[:1], process, log)
        os.kill(victim, signal.SIGKILL)
        begun = set(out.glob("*/seed*"))
        wait_for(lambda: set(out.glob("*/seed*")) - begun, process, log)
        (victim,) = wait_for(lambda: descendants(process, "ray::_learn")[:1], process, log)
        os.kill(victim, signal.SIGKILL)
        assert process.wait(DEADLINE_S) == 0, log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait()
    table = (out / "table.md").read_text().splitlines()
    assert len(table) == 3
    assert "0, 1, 2" in table[2]
    for seed in range(3):
        (folder,) = out.glob(f"*/seed{seed}")
        assert json.loads((folder / "result.json").read_text())["env_steps"] >= 250
        check_episodes(folder)
    assert not descendants(process, "ray::") if Path(f"/proc/{process.pid}").exists() else True


def test_ctrl_c_ends_a_run_of_several_actors_and_it_goes_on(tmp_path: Path) -> None:
    log, run = tmp_path / "log", tmp_path / "run"
    words = ("train", "pick_cube", "--actors", "2", "--run-dir", str(run))
    process = start(*words, log=log)
    try:
        wait_for(lambda: len({p.stem[:-6] for p in (run / "episodes").glob("*.parquet")}) == 2, process, log)
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_S) == 130, log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait()
    assert list((run / "checkpoints").iterdir())
    assert not (run / "result.json").exists()
    done = sum(len(read_episode(path)[0]) - 1 for path in (run / "episodes").glob("*.parquet"))
    process = start(*words, "--resume", "--max-env-steps", str(done + 20), log=log)
    try:
        assert process.wait(DEADLINE_S) == 0, log.read_text()[-3000:]
    finally:
        process.kill()
        process.wait()
    assert json.loads((run / "result.json").read_text())["env_steps"] >= done + 20
    check_episodes(run)
