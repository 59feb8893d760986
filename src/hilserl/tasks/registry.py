"""The registry of tasks, here and with Gymnasium."""

import functools
import importlib.metadata
import inspect
from pathlib import Path

import gymnasium
from typing_extensions import Unpack

from hilserl.envs.options import EnvOptions, EnvOptionValues
from hilserl.errors import HilserlError, unknown
from hilserl.plug_ins import described, load_class
from hilserl.sim.control import PoseControl
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.robot_models.registry import find_robot
from hilserl.sim.task import Task
from hilserl.tasks.scenes.load import is_task_file, load_task

PLUG_INS = "hilserl.tasks"
"""Entry-point group in which another package names its tasks."""
_TASKS: dict[str, type[Task]] = {}


def register(task: type[Task]) -> type[Task]:
    """Register a task by its name, here and with Gymnasium.

    A task that an arm behind a robot server can do has an environment for that, too.

    Raises:
        HilserlError: Another task has this name.
    """
    if task.name in _TASKS:
        raise HilserlError(f"A task named {task.name!r} exists already: {_TASKS[task.name].__qualname__}.")
    _TASKS[task.name] = task
    announce(task.name, task.max_episode_steps)
    if len(task.arms) > 1 or obstacle_to_serving(task):
        return task
    # The entry point is a text, since tasks do not import robots.
    gymnasium.register(
        gymnasium_id(task.name, "Franka"),
        entry_point="hilserl.envs.robot_env:make_robot_env",
        kwargs={"task": task},
        max_episode_steps=task.max_episode_steps,
    )
    return task


def obstacle_to_serving(task: type[Task] | Task) -> str | None:
    """Say why no robot server can drive a task's arms, if so."""
    for arm in task.arms:
        if not isinstance(arm.control, PoseControl):
            return "its arm is driven by forces, and a robot server takes poses"
    return None


def announce(name: str, max_episode_steps: int | None = None) -> None:
    """Register a name with Gymnasium; its task may be loaded later."""
    env_id = gymnasium_id(name)
    if env_id not in gymnasium.registry:
        gymnasium.register(env_id, entry_point="hilserl.tasks.registry:make_sim_env", kwargs={"name": name})
    if max_episode_steps is not None:
        gymnasium.registry[env_id].max_episode_steps = max_episode_steps


@functools.cache
def _load_plug_ins() -> None:
    """Register the tasks of other packages.

    Raises HilserlError naming package and entry point if one is broken.
    """
    for point in importlib.metadata.entry_points(group=PLUG_INS):
        task = load_class(point, Task)
        if task.name != point.name:
            raise HilserlError(f"{described(point)} is a task named {task.name!r}; the two names must be the same.")
        if _TASKS.get(task.name) is not task:
            register(task)


def names() -> tuple[str, ...]:
    """Return the names of all tasks, other packages' among them, sorted."""
    _load_plug_ins()
    return tuple(sorted(_TASKS))


def find(name: str) -> type[Task]:
    """Return the task of a name or of a TOML file.

    `pick-cube` is `pick_cube`.

    Raises:
        HilserlError: No task has this name; the message names the nearest. Or a file is missing or broken.
    """
    if is_task_file(name):
        return load_task(name)
    _load_plug_ins()
    task = _TASKS.get(name.replace("-", "_"))
    if task is None:
        raise unknown("task", name, _TASKS)
    return task


def make_task(name: str, options: EnvOptions) -> Task:
    """Make a task with the robot that the options name.

    Raises:
        HilserlError: Task or robot does not exist, or the robot cannot do the task.
    """
    if options.scene and not is_task_file(name):
        raise HilserlError(f"{name} has its own scene; --scene goes with a task of one's own, in a TOML file.")
    task = load_task(name, options.scene) if options.scene else find(name)
    return task(find_robot(options.arm))


def make_sim_env(
    name: str,
    *,
    render_mode: str | None = None,
    width: int = 640,
    height: int = 480,
    **options: Unpack[EnvOptionValues],
) -> ManipulationEnv:
    """Make the simulated environment of a task, as `gymnasium.make` does.

    Args:
        name: The task's name.
        render_mode: "rgb_array" or None.
        width: Width of what `render` returns, in pixels.
        height: Height of what `render` returns, in pixels.
        options: Those of `EnvOptions`.
    """
    settings = EnvOptions(**options)
    return ManipulationEnv(make_task(name, settings), settings, render_mode=render_mode, render_size=(height, width))


def image_of(task: type[Task]) -> Path | None:
    """Return the small image beside a task's file, if it has one."""
    image = Path(inspect.getfile(task)).parent / "pictures" / f"{task.name}.png"
    return image if image.exists() else None


def gymnasium_id(name: str, robot: str = "") -> str:
    """Return a task's Gymnasium id.

    `pick_cube` is `hilserl/PickCube-v0` and, behind a robot server, `hilserl/FrankaPickCube-v0`.
    """
    return f"hilserl/{robot}{''.join(word.capitalize() for word in name.split('_'))}-v0"
