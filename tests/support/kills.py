"""Schedules of kills: a short run that is killed at any write, sync or rename, and then resumed.

They run in a process without JAX's threads, which may not be forked.
"""

import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hilserl.data.episodes import read_episode, write_episode
from hilserl.data.fingerprint import fingerprint
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.files import tidy
from hilserl.runs import checkpoint
from hilserl.runs.checkpoint import RunState, check_checkpoint, prune, save_checkpoint, steps_in
from hilserl.runs.metrics import MetricsLog, drop_torn_line, read_metrics
from hilserl.runs.run_dir import RunDir
from hilserl.training.config_file import load_config, save_config
from tests.support.configs import train_config
from tests.support.steps import make_episode

SPEC = ExperienceSpec(
    "toy",
    StateLayout((entry("position_m", 2), entry("gripper_command", 1))),
    ActionLayout(("dx", "gripper"), grippers=(1,)),
)
PATCHED = ("replace", "rename", "fsync", "truncate", "rmdir", "unlink", "mkdir", "open", "link")
EPISODES, KEPT = 4, 2


ARRAYS = {"weights": np.zeros(50, np.float32)}
"""Arrays of an agent; JAX itself may not be forked."""


def episode(number: int) -> list[Step]:
    return [replace(step, seed=number) for step in make_episode(number, 3, camera=False)]


def work(run_dir: RunDir, acknowledge: Callable[[str], object]) -> None:
    """Write what a short run writes; tell each thing that is done."""
    save_config(run_dir.config, train_config("pick_cube", seed=3))
    acknowledge("config")
    metrics = MetricsLog(run_dir.metrics)
    for number in range(EPISODES):
        write_episode(run_dir.episodes / f"{number:06d}.parquet", episode(number), SPEC)
        acknowledge(f"episode {number}")
        metrics.write("episode", number, {"episode": number})
        acknowledge(f"record {number}")
        agent: Any = None
        state = RunState(env_steps=number, evaluation={"success_rate": 0.1})
        save_checkpoint(run_dir.checkpoints, agent, state, number)
        acknowledge(f"checkpoint {number}")
        # The same one again, as after an evaluation.
        save_checkpoint(run_dir.checkpoints, agent, replace(state, evaluation={"success_rate": 0.2}), number)
        prune(run_dir.checkpoints, KEPT)


def interrupted(kill_at: int, *, after: bool) -> tuple[Callable[[Callable[..., Any]], Callable[..., Any]], list[int]]:
    """Return a wrapper of system calls that ends the process at one of them, and the count so far."""
    count = [0]

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapped(*arguments: Any, **options: Any) -> Any:
            count[0] += 1
            here = count[0] == kill_at  # a call may call another one
            if here and not after:
                os._exit(9)
            try:
                return call(*arguments, **options)
            finally:
                if here:
                    os._exit(9)

        return wrapped

    return wrap, count


def schedule(directory: Path, kill_at: int, *, after: bool) -> tuple[list[str], int]:
    """Run `work` in a process that is killed at a system call.

    Returns:
        What it acknowledged, and the number of its system calls if it was not killed.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            wrap, count = interrupted(kill_at, after=after)
            tell = os.write
            for name in PATCHED:
                setattr(os, name, wrap(getattr(os, name)))
            work(RunDir(directory), lambda done: tell(writing, f"{done}\n".encode()))
            tell(writing, f"calls {count[0]}\n".encode())
        except BaseException:  # noqa: BLE001 - the parent reports it
            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        said = pipe.read().splitlines()
    os.waitpid(child, 0)
    calls = [int(each.split()[1]) for each in said if each.startswith("calls")]
    return [each for each in said if not each.startswith("calls")], calls[0] if calls else 0


def schedules(calls: int, cases: int) -> Iterator[tuple[int, bool]]:
    """Choose places to kill, spread over all calls, before and after each."""
    every = [(at, after) for at in range(1, calls + 1) for after in (False, True)]
    rng = np.random.default_rng(0)
    for index in rng.permutation(len(every))[:cases]:
        yield every[index]


def check(run_dir: RunDir, acknowledged: list[str]) -> None:
    """Resume as a run does; everything acknowledged is there, once."""
    for directory in (run_dir.path, run_dir.checkpoints, run_dir.episodes):
        tidy(directory)
    drop_torn_line(run_dir.metrics)
    if "config" in acknowledged:
        assert load_config(run_dir.config).seed == 3
    found = sorted(run_dir.episodes.glob("*.parquet")) if run_dir.episodes.exists() else []
    kept = {path.name: fingerprint(read_episode(path)[0]) for path in found}
    for number in (int(each.split()[1]) for each in acknowledged if each.startswith("episode")):
        assert kept[f"{number:06d}.parquet"] == fingerprint(episode(number))
    if run_dir.metrics.exists():
        records = [record["episode"] for record in read_metrics(run_dir.metrics, "episode")]
        assert records == list(range(len(records)))
        assert len(records) >= sum(each.startswith("record") for each in acknowledged)
        MetricsLog(run_dir.metrics).close()
    steps = steps_in(run_dir.checkpoints)
    for step in steps:
        check_checkpoint(run_dir.checkpoints / str(step))
    done = [int(each.split()[1]) for each in acknowledged if each.startswith("checkpoint")]
    assert not done or done[-1] in steps


def run_schedules(directory: Path, cases: int) -> None:
    """Kill a short run at some places, each before or after a system call, and check what is left."""
    checkpoint.named_arrays = lambda _: ARRAYS  # pyright: ignore[reportAttributeAccessIssue]
    acknowledged, calls = schedule(directory / "whole", 0, after=False)
    assert len(acknowledged) == 1 + 3 * EPISODES
    check(RunDir(directory / "whole"), acknowledged)
    assert calls > 50
    for number, (kill_at, after) in enumerate(schedules(calls, cases)):
        place = directory / str(number)
        place.mkdir()
        acknowledged, finished = schedule(place, kill_at, after=after)
        assert not finished or kill_at > finished
        check(RunDir(place), acknowledged)


if __name__ == "__main__":
    run_schedules(Path(sys.argv[1]), int(sys.argv[2]))
