"""Schedules of kills: a short run that is killed at any write, sync or rename, once or twice, and then resumed.

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


def recover(run_dir: RunDir) -> None:
    """Clear what a killed run left, as a resume does."""
    for directory in (run_dir.path, run_dir.checkpoints, run_dir.episodes):
        tidy(directory)
    drop_torn_line(run_dir.metrics)


def records_of(run_dir: RunDir) -> list[int]:
    """Return the numbers of the episodes that the metrics have."""
    return (
        [record["episode"] for record in read_metrics(run_dir.metrics, "episode")] if run_dir.metrics.exists() else []
    )


def write_checkpoint(directory: Path, number: int) -> None:
    """Write a checkpoint, and again as after an evaluation."""
    agent: Any = None
    for success_rate in (0.1, 0.2):
        state = RunState(env_steps=number, evaluation={"success_rate": success_rate})
        save_checkpoint(directory, agent, state, number)


def work(run_dir: RunDir, acknowledge: Callable[[str], object]) -> None:
    """Write what a short run writes, from where it stands; tell each thing that is done."""
    recover(run_dir)
    if not run_dir.config.exists():
        save_config(run_dir.config, train_config("pick_cube", seed=3))
    acknowledge("config")
    recorded = records_of(run_dir)
    metrics = MetricsLog(run_dir.metrics)
    for number in range(EPISODES):
        path = run_dir.episodes / f"{number:06d}.parquet"
        if not path.exists():
            write_episode(path, episode(number), SPEC)
        acknowledge(f"episode {number}")
        if number not in recorded:
            metrics.write("episode", number, {"episode": number})
        acknowledge(f"record {number}")
        if number >= max(steps_in(run_dir.checkpoints), default=0):
            write_checkpoint(run_dir.checkpoints, number)
        acknowledge(f"checkpoint {number}")
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


Kill = tuple[int, bool]
"""Number of a system call, and whether the process ends after it or before it."""


def schedules(calls: int, cases: int) -> Iterator[tuple[Kill, Kill]]:
    """Choose places to kill and places to kill what resumes, spread over all calls.

    The first of a pair takes every place once before any comes again.
    """
    every = [(at, after) for at in range(1, calls + 1) for after in (False, True)]
    rng = np.random.default_rng(0)
    rounds = -(-cases // len(every))
    order = np.concatenate([rng.permutation(len(every)) for _ in range(rounds)])
    for first in order[:cases]:
        yield every[first], every[rng.integers(len(every))]


def check(run_dir: RunDir, acknowledged: list[str]) -> None:
    """Recover as a run does; everything acknowledged is there, once."""
    recover(run_dir)
    if "config" in acknowledged:
        assert load_config(run_dir.config).seed == 3
    found = sorted(run_dir.episodes.glob("*.parquet")) if run_dir.episodes.exists() else []
    kept = {path.name: fingerprint(read_episode(path)[0]) for path in found}
    for number in (int(each.split()[1]) for each in acknowledged if each.startswith("episode")):
        assert kept[f"{number:06d}.parquet"] == fingerprint(episode(number))
    if run_dir.metrics.exists():
        records = records_of(run_dir)
        assert records == list(range(len(records)))
        assert len(records) >= sum(each.startswith("record") for each in acknowledged)
        MetricsLog(run_dir.metrics).close()
    steps = steps_in(run_dir.checkpoints)
    for step in steps:
        check_checkpoint(run_dir.checkpoints / str(step))
    done = [int(each.split()[1]) for each in acknowledged if each.startswith("checkpoint")]
    assert not done or max(steps, default=-1) >= done[-1]


def run_schedules(directory: Path, cases: int) -> None:
    """Kill a short run, then what resumes it; check what is left each time, and that the rest is done."""
    checkpoint.named_arrays = lambda _: ARRAYS  # pyright: ignore[reportAttributeAccessIssue]
    whole, calls = schedule(directory / "whole", 0, after=False)
    assert len(whole) == 1 + 3 * EPISODES
    check(RunDir(directory / "whole"), whole)
    assert calls > 50
    resumed = 0
    for number, ((first, first_after), (second, second_after)) in enumerate(schedules(calls, cases)):
        place = directory / str(number)
        place.mkdir()
        acknowledged, finished = schedule(place, first, after=first_after)
        assert not finished
        check(RunDir(place), acknowledged)
        again, finished = schedule(place, second, after=second_after)
        resumed += not finished
        check(RunDir(place), again or acknowledged)
        last, finished = schedule(place, 0, after=False)
        assert finished
        assert last == whole
        check(RunDir(place), whole)
    print(f"{cases} schedules over {2 * calls} places; {resumed} were killed again while they resumed")


if __name__ == "__main__":
    run_schedules(Path(sys.argv[1]), int(sys.argv[2]))
