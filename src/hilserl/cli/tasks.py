"""List the tasks, or check one of the user's."""

import contextlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hilserl import tasks
from hilserl.cli.parsing import parse
from hilserl.cli.tables import print_table
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from hilserl.files import atomically
from hilserl.robot.http.images import as_png
from hilserl.sim.control import ArmSetup
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.robot_models.registry import ROBOTS
from hilserl.sim.task import Task
from hilserl.sim.task_env import CONTROL_DT_S
from hilserl.tasks.scenes.check import moving_bodies, overlaps, try_script

_IMAGE_PX = (240, 320)
_MAX_WIDTH = 100
_TRIES, _ENOUGH = 20, 0.95


@dataclass(frozen=True)
class TasksArguments:
    """List the tasks, or check one of your own.

    `hilserl tasks check FILE.toml` says what is wrong with a task in a scene of your own, renders its start and lets
    the script try it 20 times.
    """

    action: Annotated[Literal["list", "check"], tyro.conf.Positional] = "list"
    """List the tasks, or check a file."""
    file: Annotated[Path | None, tyro.conf.Positional] = None
    """TOML file to check."""
    robot: str = EnvOptions.arm
    """Robot that tries the task: a name or a file."""
    draw: Path | None = None
    """Render the start of each task to this directory."""


def run(words: Sequence[str]) -> int:
    """Print the tasks, render them, or check one."""
    arguments = parse("tasks", TasksArguments, words)
    if arguments.action == "check":
        if arguments.file is None:
            raise HilserlError("Name the task's file: hilserl tasks check FILE.toml.")
        return _check(arguments.file, arguments.robot, arguments.draw)
    if arguments.file is not None:
        raise HilserlError(f"`hilserl tasks list` takes no file, got {arguments.file}; did you mean check?")
    found = [tasks.find(name) for name in tasks.names()]
    if arguments.draw:
        for task in found:
            print(_rendered(task.name, arguments.draw, EnvOptions.arm))
        return 0
    print_table(("task", "action", "cameras"), [_interface(task) for task in found])
    print_table(("task", "limit", "best published", "Gymnasium"), [_background(task) for task in found])
    print_table(("task", *ROBOTS), [_robots(task) for task in found])
    for task in found:
        print(textwrap.fill(f"{task.name}: {task.summary}", _MAX_WIDTH, subsequent_indent="    "))
    images = [tasks.image_of(task) for task in found]
    print()
    for directory in sorted({image.parent for image in images if image}):
        print(f"Images: {_shortened(directory)}/TASK.png")
    print(f"In Python: gymnasium.make('hilserl.tasks:{tasks.gymnasium_id('pick_cube')}')")
    return 0


def _check(path: Path, robot: str, draw: Path | None) -> int:
    """Check a task's file; return 1 if something has to be changed."""
    task = tasks.find(str(path))
    print(f"{task.name}: {task.summary}")
    with contextlib.closing(tasks.make_sim_env(str(path), arm=robot)) as env:
        env.reset(seed=0)
        print(f"Action: {_action(env.task.arms)}. The scene's moving bodies: {_listed(env)}.")
        problems = overlaps(env)
        for problem in problems:
            print(problem)
        print(f"Image: {_rendered(str(path), draw or path.parent, robot)}")
        tries = try_script(env, _TRIES)
    steps = f", in {tries.mean_steps * CONTROL_DT_S:.1f} s on average" if tries.successes else ""
    print(f"The script succeeded in {tries.successes} of {tries.episodes}{steps}.")
    if tries.successes < _ENOUGH * tries.episodes:
        print(
            "Fewer than 19 of 20 make poor demonstrations. Common causes: the workspace leaves no room to come from "
            "above or from behind, the body is wider than the gripper, or something is in the way."
        )
        return 1
    return 1 if problems else 0


def _listed(env: ManipulationEnv) -> str:
    return ", ".join(moving_bodies(env.simulation.model)) or "none"


def _shortened(path: Path) -> Path:
    """Return a path relative to the working directory if it is inside."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _robots(task: type[Task]) -> tuple[str, ...]:
    """Tell which robot can do a task."""
    return task.name, *("-" if task.obstacle(robot) else "yes" for robot in ROBOTS.values())


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


def _rendered(name: str, directory: Path, robot: str) -> Path:
    """Render the start of a task to a PNG file."""
    with contextlib.closing(tasks.make_sim_env(name, obs="state", arm=robot)) as env:
        env.reset(seed=0)
        image = as_png(env.scene.image(*_IMAGE_PX))
        path = directory / f"{env.task.name}.png"
    atomically(path, lambda part: part.write_bytes(image))
    return path
