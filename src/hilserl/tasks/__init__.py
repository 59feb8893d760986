"""Manipulation tasks, one file each.

Importing this module registers the tasks with Gymnasium; Gymnasium's own syntax for that in one line is
`gymnasium.make("hilserl.tasks:hilserl/PickCube-v0")`.

Another package adds a task by an entry point of the group `hilserl.tasks` that names its class:
`my_task = "my_package.my_task:MyTask"`. It is loaded when a name is first looked up or all are listed.
"""

import importlib.metadata

from hilserl.tasks.flip_object import FlipObject
from hilserl.tasks.handover import Handover
from hilserl.tasks.insert_ram import InsertRam, InsertRamLoose, InsertRamTight
from hilserl.tasks.insert_usb import InsertUsb, InsertUsbLoose, InsertUsbTight
from hilserl.tasks.pick_cube import PickCube
from hilserl.tasks.registry import (
    PLUG_INS,
    announce,
    find,
    gymnasium_id,
    image_of,
    is_task_file,
    make_sim_env,
    make_task,
    names,
    register,
)

__all__ = [
    "PLUG_INS",
    "find",
    "gymnasium_id",
    "image_of",
    "is_task_file",
    "make_sim_env",
    "make_task",
    "names",
    "register",
]

for _task in (
    *(PickCube, InsertRam, InsertRamTight, InsertRamLoose),
    *(InsertUsb, InsertUsbTight, InsertUsbLoose),
    *(Handover, FlipObject),
):
    register(_task)
for _point in importlib.metadata.entry_points(group=PLUG_INS):
    announce(_point.name)
