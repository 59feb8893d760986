"""hilserl tasks: what can be trained."""

from collections.abc import Sequence

import tyro

from hilserl import tasks
from hilserl.sim.interface import ACTION, CONTROL_DT_S


def list_tasks() -> None:
    """List the tasks that can be trained."""
    for name in tasks.names():
        task = tasks.find(name)
        print(f"{name}: {task.summary}")
        print(f"  gymnasium.make({'hilserl.tasks:' + tasks.gymnasium_id(name)!r})")
        print(f"  actions {', '.join(ACTION.names)}; at most {task.max_episode_steps * CONTROL_DT_S:.0f} s an episode")


def run(words: Sequence[str]) -> int:
    tyro.cli(list_tasks, args=words, prog="hilserl tasks")
    return 0
