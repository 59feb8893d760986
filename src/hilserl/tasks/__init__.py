"""What can be trained: one file a task, and the registry that names them.

Importing this module also registers the tasks with Gymnasium; its own syntax for that in one line is
`gymnasium.make("hilserl.tasks:hilserl/PickCube-v0")`.
"""

import gymnasium

from hilserl.errors import HilserlError, unknown
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.task import Task
from hilserl.tasks.pick_cube import PickCube

_TASKS: dict[str, type[Task]] = {}


def register(task: type[Task]) -> type[Task]:
    """Makes a task known by its name, here and to Gymnasium. Raises HilserlError when the name is taken."""
    if task.name in _TASKS:
        raise HilserlError(f"A task named {task.name!r} exists already: {_TASKS[task.name].__qualname__}.")
    _TASKS[task.name] = task
    gymnasium.register(gymnasium_id(task.name), entry_point="hilserl.tasks:make_env", kwargs={"name": task.name})
    # Named as a text, since tasks know nothing of robots.
    real = gymnasium_id(task.name, "Franka")
    gymnasium.register(real, entry_point="hilserl.robot.env:make_robot_env", kwargs={"task": task})
    return task


def names() -> tuple[str, ...]:
    return tuple(sorted(_TASKS))


def find(name: str) -> type[Task]:
    """The task of a name; `pick-cube` is `pick_cube`. Raises HilserlError naming what exists and the nearest."""
    task = _TASKS.get(name.replace("-", "_"))
    if task is None:
        raise unknown("task", name, _TASKS)
    return task


def make_env(name: str, **options) -> ManipulationEnv:
    """A task's environment; the options are those of `ManipulationEnv`."""
    return ManipulationEnv(find(name)(), **options)


def gymnasium_id(name: str, robot: str = "") -> str:
    """`pick_cube` is `hilserl/PickCube-v0` and, behind a robot server, `hilserl/FrankaPickCube-v0`."""
    return f"hilserl/{robot}{''.join(word.capitalize() for word in name.split('_'))}-v0"


register(PickCube)
