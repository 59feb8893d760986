"""Runs on a local Ray cluster go on when what Ray started for them is killed, and leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hilserl.data.episodes import read_episode
from hilserl.distributed.protocol import EPISODES_PER_ACTOR

pytestmark = pytest.mark.chaos
DEADLINE_S = 420.0
SMALL = (
    *("--obs", "state", "--demonstrations", "1", "--training-starts", "1", "--eval-every", "100000"),
    *("--final-eval-episodes", "1", "--agent.hidden", "16", "16", "--agent.batch-size", "8", "--agent.utd-ratio", "1"),
    *("--max-update-steps-per-env-step", "0.5"),
)


class Command:
    """`hilserl` with a cluster of its own, in a session of its own, by which its processes are known."""

    def __init__(self, log: Path, *words: str) -> None:
        self._log = log
        with log.open("a") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "hilserl", *words, *SMALL],
                stdout=file,
                stderr=file,
                # A video of an untrained policy takes a minute.
                env={**os.environ, "MUJOCO_GL": "off"},
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def processes(self, title: str = "") -> list[int]:
        """All that it started, and itself, whose titles begin so."""
        found = []
        for directory in Path("/proc").iterdir():
            try:
                if os.getsid(int(directory.name)) == self.process.pid:
                    shown = (directory / "cmdline").read_text().split("\0")[0]
                    found += [int(directory.name)] if shown and shown.startswith(title) else []
            except (ValueError, OSError):
                continue
        return found

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert self.process.poll() is None, f"It ended before {what}:\n{self.said}"
            assert time.monotonic() < deadline, f"Not in time: {what}\n{self.said}"
            time.sleep(0.2)

    def kill_one(self, title: str) -> None:
        self.until(lambda: self.processes(title), f"there is {title}")
        os.kill(self.processes(title)[0], signal.SIGKILL)

    def ended(self) -> int:
        """Its exit status; fails where something of it is left."""
        status = self.process.wait(DEADLINE_S)
        # What belongs to Ray itself takes its time to notice that its command was killed.
        deadline = time.monotonic() + 120
        while (left := self.processes()) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not left, [Path(f"/proc/{pid}/cmdline").read_text() for pid in left]
        return status

    def close(self) -> None:
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def hilserl(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    commands: list[Command] = []

    def start(*words: str) -> Command:
        commands.append(Command(tmp_path / "log", *words))
        return commands[-1]

    yield start
    for command in commands:
        command.close()


def arrived(run: Path, more_than: int = 0) -> bool:
    """Return True if more episodes than so many have been written."""
    return len(list((run / "episodes").glob("*.parquet"))) > more_than


def check_episodes(run: Path, actors: int) -> int:
    """Steps in the files of a run; fails unless each is one episode, whole and in order, of one of so many actors."""
    steps = 0
    files = sorted((run / "episodes").glob("*.parquet"))
    for path in files:
        # Raises unless the file is one episode's steps from its reset on, in order.
        episode, _ = read_episode(path)
        assert {step.episode for step in episode} == {int(path.stem)}
        steps += len(episode) - 1
    assert {int(path.stem) // EPISODES_PER_ACTOR for path in files} == set(range(actors))
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    noted = [record["episode"] for record in records if record["kind"] == "episode"]
    assert set(noted) <= {int(path.stem) for path in files}
    return steps


def test_sweep_is_complete_though_an_actor_and_a_learner_are_killed(tmp_path: Path, hilserl) -> None:
    out = tmp_path / "sweep"
    words = ("sweep", "pick_cube", "--seeds", "0..2", "--actors", "1", "--max-env-steps", "250", "--out", str(out))
    command = hilserl(*words)
    command.until(lambda: any(map(arrived, out.glob("*/seed*"))), "an episode is there")
    (first,) = filter(arrived, out.glob("*/seed*"))
    command.kill_one("ray::as it is, seed 0 actor")
    command.until(lambda: arrived(first, 1), "the actor goes on")
    command.kill_one("ray::as it is, seed 0 learner")
    assert command.ended() == 0, command.said
    table = (out / "table.md").read_text().splitlines()
    assert len(table) == 3
    assert "0, 1, 2" in table[2]
    assert (out / "curves.png").exists()
    for seed in range(3):
        run = out / "as_it_is" / f"seed{seed}"
        assert json.loads((run / "result.json").read_text())["env_steps"] >= 250
        assert check_episodes(run, actors=1) >= 150
    written = (out / "as_it_is" / "seed1" / "result.json").stat().st_mtime_ns
    again = hilserl(*words, "--resume")
    assert again.ended() == 0, again.said
    assert (out / "as_it_is" / "seed1" / "result.json").stat().st_mtime_ns == written
    assert (out / "table.md").read_text().splitlines() == table


@pytest.mark.long
def test_ctrl_c_ends_a_run_of_several_actors_and_it_goes_on(tmp_path: Path, hilserl) -> None:
    run = tmp_path / "run"
    words = ("train", "pick_cube", "--actors", "2", "--run-dir", str(run))
    command = hilserl(*words)
    command.until(lambda: {p.stem[:-6] for p in (run / "episodes").glob("*")} == {"", "1"}, "both have episodes")
    command.process.send_signal(signal.SIGINT)
    assert command.ended() == 130, command.said
    assert f"hilserl train pick_cube --actors 2 --resume --run-dir {run}" in command.said
    assert list((run / "checkpoints").iterdir())
    assert not (run / "result.json").exists()
    done = check_episodes(run, actors=2)
    command = hilserl(*words, "--resume", "--max-env-steps", str(done + 200))
    assert command.ended() == 0, command.said
    assert json.loads((run / "result.json").read_text())["env_steps"] >= done + 200
    assert check_episodes(run, actors=2) >= done


@pytest.mark.long
def test_killed_command_takes_its_cluster_with_it(tmp_path: Path, hilserl) -> None:
    command = hilserl("sweep", "pick_cube", "--seeds", "0", "--out", str(tmp_path / "sweep"))
    command.until(lambda: list(tmp_path.glob("sweep/*/seed0/config.json")), "the run has begun")
    command.process.kill()
    assert command.ended() == -signal.SIGKILL
