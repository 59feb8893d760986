"""List the tasks that can be trained."""

import textwrap
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

_IMAGE_PX = (240, 320)
_MAX_WIDTH = 100


@dataclass(frozen=True)
class TasksArguments:
    """List the tasks."""

    draw: Path | None = None
    """Render the start of each task to this directory."""


def run(words: Sequence[str]) -> int:
    """Print the tasks; render them if asked to."""
    arguments = parse("tasks", TasksArguments, words)
    found = [tasks.find(name) for name in tasks.names()]
    if arguments.draw:
        for task in found:
            print(_rendered(task, arguments.draw))
        return 0
    _print_table(("task", "action", "cameras"), [_interface(task) for task in found])
    _print_table(("task", "limit", "best published", "Gymnasium"), [_background(task) for task in found])
    for task in found:
        print(textwrap.fill(f"{task.name}: {task.summary}", _MAX_WIDTH, subsequent_indent="    "))
    images = [tasks.image_of(task) for task in found]
    print()
    for directory in sorted({image.parent for image in images if image}):
        print(f"Images: {_shortened(directory)}/TASK.png")
    print(f"In Python: gymnasium.make('hilserl.tasks:{tasks.gymnasium_id('pick_cube')}')")
    return 0


def _shortened(path: Path) -> Path:
    """Return a path relative to the working directory if it is inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print_table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print()


def _interface(task: type[Task]) -> tuple[str, ...]:
    return task.name, _action(task.arms), " ".join(task.cameras)


def _background(task: type[Task]) -> tuple[str, ...]:
    seconds = task.max_episode_steps * CONTROL_DT_S
    return task.name, f"{seconds:.0f} s", task.published or "-", tasks.gymnasium_id(task.name)


def _action(arms: tuple[ArmSetup, ...]) -> str:
    """Describe an action, such as `4: dx dy dz gripper`."""
    size = sum(len(arm.names) for arm in arms)
    parts = {arm.name: " ".join(number.removeprefix("tcp_") for number in arm.numbers) for arm in arms}
    whose = {what: [name for name in parts if name and parts[name] == what] for what in parts.values()}
    return f"{size}: " + "; ".join(" ".join((*names, what)) for what, names in whose.items())


def _rendered(task: type[Task], directory: Path) -> Path:
    """Render the start of a task to a PNG file."""
    env = tasks.make_sim_env(task.name, obs="state")
    try:
        env.reset(seed=0)
        image = as_png(env.scene.image(*_IMAGE_PX))
    finally:
        env.close()
    path = directory / f"{task.name}.png"
    atomically(path, lambda part: part.write_bytes(image))
    return path
