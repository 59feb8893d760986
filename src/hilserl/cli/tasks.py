"""hilserl tasks: what can be trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hilserl import tasks
from hilserl.cli.parsing import parse
from hilserl.files import atomically
from hilserl.robot.http.images import as_png
from hilserl.sim.control import ArmSetup
from hilserl.sim.task import Task
from hilserl.sim.task_env import CONTROL_DT_S

_PICTURE_PX = (240, 320)
_HEADINGS = ("task", "an action", "cameras", "limit", "best published", "picture")


@dataclass(frozen=True)
class TasksArguments:
    """List the tasks."""

    draw: Path | None = None
    """Render the start of each task anew into this directory, instead of naming the pictures that come with it."""


def run(words: Sequence[str]) -> int:
    arguments = parse("tasks", TasksArguments, words)
    found = [tasks.find(name) for name in tasks.names()]
    pictures = [_drawn(task, arguments.draw) if arguments.draw else tasks.picture_of(task) for task in found]
    rows = [_row(task, picture) for task, picture in zip(found, pictures, strict=True)]
    widths = [max(map(len, column)) for column in zip(_HEADINGS, *rows, strict=True)]
    for row in (_HEADINGS, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()
    for task in found:
        print(f"{task.name}: {task.summary}. gymnasium.make({'hilserl.tasks:' + tasks.gymnasium_id(task.name)!r})")
    return 0


def _row(task: type[Task], picture: Path | None) -> tuple[str, ...]:
    seconds = task.max_episode_steps * CONTROL_DT_S
    shown = str(picture) if picture else "-"
    return task.name, _action(task.arms), " ".join(task.cameras), f"{seconds:.0f} s", task.published or "-", shown


def _action(arms: tuple[ArmSetup, ...]) -> str:
    """How many numbers an action has, and which: `4: dx dy dz gripper`."""
    size = sum(len(arm.names) for arm in arms)
    parts = {arm.name: " ".join(number.removeprefix("tcp_") for number in arm.numbers) for arm in arms}
    whose = {what: [name for name in parts if name and parts[name] == what] for what in parts.values()}
    return f"{size}: " + "; ".join(" ".join((*names, what)) for what, names in whose.items())


def _drawn(task: type[Task], folder: Path) -> Path:
    """The task's first start as people see it, a PNG."""
    env = tasks.make_sim_env(task.name, obs="state")
    try:
        env.reset(seed=0)
        picture = as_png(env.scene.image(*_PICTURE_PX))
    finally:
        env.close()
    path = folder / f"{task.name}.png"
    atomically(path, lambda part: part.write_bytes(picture))
    return path
