"""Verbs that a leader arm of LeRobot drives."""

import contextlib
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.tasks import make_sim_env
from tests.support.console_page import wait_until
from tests.support.console_process import ConsoleProcess
from tests.support.lerobot_rig import fake_lerobot
from tests.support.told_leader import ToldLeader

ALIGNED_M, STEP_M = 0.008, 0.015
TINY = (
    *("--training-starts", "4", "--eval-every", "100000", "--eval-episodes", "1", "--final-eval-episodes", "1"),
    *("--agent.batch-size", "8", "--agent.hidden", "8", "8"),
    *("--max-minutes", "5", "--update-steps-per-env-step", "0.1"),
)


@pytest.fixture
def leader(tmp_path: Path) -> ToldLeader:
    return ToldLeader(tmp_path / "told.json")


@contextlib.contextmanager
def led(leader: ToldLeader, *words: str) -> Iterator[ConsoleProcess]:
    """Run a verb that the leader drives, until its first step."""
    with fake_lerobot():
        process = ConsoleProcess(*words, "--obs", "state", *leader.flags)
    try:
        wait_until(lambda: process.state or process.has_ended, "the first step")
        assert process.state, process.errors
        yield process
    finally:
        process.close()


def lead(process: ConsoleProcess, leader: ToldLeader, above_m: float) -> None:
    """Move the leader until the robot's tool is over the cube."""
    for _ in range(300):
        away = np.array(process.state["cube"]) - process.state["tcp"] + (0.0, 0.0, above_m)
        if np.abs(away).max() < ALIGNED_M:
            return
        leader.move(np.clip(away, -STEP_M, STEP_M))
        time.sleep(0.2)
    raise AssertionError(f"the tool is not there: {process.state}")


def flags_of(directory: Path) -> list[bool]:
    """Return for each recorded step whether the operator drove."""
    env = make_sim_env("pick_cube", obs="state", arm="so101")
    steps = [step for episode in read_episodes(directory, env.experience) for step in episode[1:]]
    env.close()
    assert all((step.human_seconds > 0) == step.intervened for step in steps)
    return [step.intervened for step in steps]


def test_record_keeps_a_demonstration_by_a_leader_arm(tmp_path: Path, leader: ToldLeader) -> None:
    words = ("record", "pick_cube", "--successes", "1", "--episode-seconds", "600", "--out", str(tmp_path / "d"))
    with led(leader, *words) as process:
        lead(process, leader, above_m=0.06)
        lead(process, leader, above_m=0.0)
        leader.jaw = 5.0
        leader.tell()
        wait_until(lambda: process.state["held"], "the cube is held")
        while not process.has_ended:
            leader.move(np.array((0.0, 0.0, 0.01)))
            time.sleep(0.2)
        assert process.end() == 0, process.errors
    flags = flags_of(tmp_path / "d")
    assert flags
    assert all(flags)


def test_train_is_taken_over_by_a_leader_arm_and_handed_back(tmp_path: Path, leader: ToldLeader) -> None:
    run = RunDir(tmp_path / "run")
    words = ("train", "pick_cube", "--demonstrations", "1", "--max-env-steps", "1000000", "--run-dir", str(run.path))
    with led(leader, *words, *TINY) as process:
        leader.intervenes = True
        leader.tell()
        wait_until(lambda: process.state["human"], "the leader drives")
        height = process.state["tcp"][2]
        for _ in range(4):
            leader.move(np.array((0.0, 0.0, 0.01)))
            time.sleep(0.2)
        wait_until(lambda: process.state["tcp"][2] > height + 0.02, "the tool is lifted")
        leader.intervenes = False
        leader.tell()
        wait_until(lambda: not process.state["human"], "the policy drives again")
        episode = process.state["episode"]
        wait_until(lambda: process.state["episode"] > episode, "the episode ends")
    assert [human for human, _ in groupby(flags_of(run.episodes))] == [False, True, False]
