"""What can be trained: one file a task, and the registry that names them.

Importing this module also registers the tasks with Gymnasium; its own syntax for that in one line is
`gymnasium.make("hilserl.tasks:hilserl/PickCube-v0")`.

Another package adds a task by an entry point of the group `hilserl.tasks` that names its class:
`my_task = "my_package.my_task:MyTask"`. It is loaded when a name is first looked up or all are listed.
"""

import functools
import importlib.metadata
import inspect
from pathlib import Path

import gymnasium

from hilserl.errors import HilserlError, unknown
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.task import Task
from hilserl.tasks.flip_object import FlipObject
from hilserl.tasks.handover import Handover
from hilserl.tasks.insert_ram import InsertRam, InsertRamLoose, InsertRamTight
from hilserl.tasks.insert_usb import InsertUsb, InsertUsbLoose, InsertUsbTight
from hilserl.tasks.pick_cube import PickCube

PLUG_INS = "hilserl.tasks"
_TASKS: dict[str, type[Task]] = {}


def register(task: type[Task]) -> type[Task]:
    """Makes a task known by its name, here and to Gymnasium. Raises HilserlError when the name is taken."""
    if task.name in _TASKS:
        raise HilserlError(f"A task named {task.name!r} exists already: {_TASKS[task.name].__qualname__}.")
    _TASKS[task.name] = task
    _announce(task.name)
    # Named as a text, since tasks know nothing of robots.
    real = gymnasium_id(task.name, "Franka")
    gymnasium.register(real, entry_point="hilserl.envs.robot_env:make_robot_env", kwargs={"task": task})
    return task


def _announce(name: str) -> None:
    """Makes a name known to Gymnasium, whose task may be loaded later."""
    if gymnasium_id(name) not in gymnasium.registry:
        gymnasium.register(gymnasium_id(name), entry_point="hilserl.tasks:make_env", kwargs={"name": name})


@functools.cache
def _load_plug_ins() -> None:
    """Registers other packages' tasks. Raises HilserlError naming package and entry point where one is broken."""
    for point in importlib.metadata.entry_points(group=PLUG_INS):
        package = point.dist.name if point.dist else "an unnamed package"
        what = f"The entry point {point.name!r} ({PLUG_INS}) of {package}, {point.value},"
        try:
            task = point.load()
        except Exception as error:
            raise HilserlError(f"{what} cannot be loaded: {type(error).__name__}: {error}") from error
        if not (isinstance(task, type) and issubclass(task, Task)):
            raise HilserlError(f"{what} is {task!r}; expected a class derived from hilserl.sim.task.Task.")
        if task.name != point.name:
            raise HilserlError(f"{what} is a task named {task.name!r}; the two names must be the same.")
        if _TASKS.get(task.name) is not task:
            register(task)


def names() -> tuple[str, ...]:
    _load_plug_ins()
    return tuple(sorted(_TASKS))


def find(name: str) -> type[Task]:
    """The task of a name; `pick-cube` is `pick_cube`. Raises HilserlError naming what exists and the nearest."""
    _load_plug_ins()
    task = _TASKS.get(name.replace("-", "_"))
    if task is None:
        raise unknown("task", name, _TASKS)
    return task


def make_env(name: str, **options) -> ManipulationEnv:
    """A task's environment; the options are those of `ManipulationEnv`."""
    return ManipulationEnv(find(name)(), **options)


def picture_of(task: type[Task]) -> Path | None:
    """A small picture of the task, beside the file that it is written in; None where there is none."""
    picture = Path(inspect.getfile(task)).parent / "pictures" / f"{task.name}.png"
    return picture if picture.exists() else None


def gymnasium_id(name: str, robot: str = "") -> str:
    """`pick_cube` is `hilserl/PickCube-v0` and, behind a robot server, `hilserl/FrankaPickCube-v0`."""
    return f"hilserl/{robot}{''.join(word.capitalize() for word in name.split('_'))}-v0"


for _task in (
    *(PickCube, InsertRam, InsertRamTight, InsertRamLoose),
    *(InsertUsb, InsertUsbTight, InsertUsbLoose),
    *(Handover, FlipObject),
):
    register(_task)
for _point in importlib.metadata.entry_points(group=PLUG_INS):
    _announce(_point.name)
