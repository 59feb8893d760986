"""hilserl robot-server: an arm, simulated or real, behind the HTTP interface of HIL-SERL's robot server."""

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hilserl import tasks
from hilserl.address import Address
from hilserl.robot.backend import Backend, GripperKind
from hilserl.robot.limits import Box, Limits
from hilserl.robot.ros_launch import RosOptions
from hilserl.sim.panda import HOME_JOINTS_RAD
from hilserl.sim.task import Task

_Vec3 = tuple[float, float, float]


@dataclass(frozen=True)
class Arguments:
    """Serve an arm over HTTP."""

    backend: Literal["sim", "ros"]
    """What is served: sim, an arm simulated in real time; ros, a Franka under ROS 1 with serl_franka_controllers."""
    task: str = "pick_cube"
    """The scene of the simulated arm, and whose workspace is the box."""
    port: int = 5000
    host: str = "127.0.0.1"
    """The address to listen on. Outside loopback it needs a token in HILSERL_TOKEN."""
    gripper: GripperKind = "franka"
    """What the commands 0 ... 255 mean, and what is measured; of `none` nothing moves."""
    box_low_m: _Vec3 | None = None
    """Where the tool may be, in the robot's base frame; by default the task's workspace."""
    box_high_m: _Vec3 | None = None
    reset_joints_rad: tuple[float, float, float, float, float, float, float] = HOME_JOINTS_RAD
    """The posture of /jointreset."""
    limits: Annotated[Limits, tyro.conf.arg(name="")] = Limits()  # noqa: RUF009 (it is frozen)
    ros: RosOptions = RosOptions()  # noqa: RUF009 (it is frozen)
    """With --backend ros."""
    credentials: Path | None = None
    """A directory that `hilserl credentials` made, for its token."""


def run(words: Sequence[str]) -> int:
    arguments = tyro.cli(Arguments, args=words, prog="hilserl robot-server")
    from hilserl.robot.server import RobotServer, check_listening
    from hilserl.training.credentials import load_credentials
    from hilserl.training.interrupt import Interrupt

    task = tasks.find(arguments.task)()
    box = Box(arguments.box_low_m or task.workspace_low_m, arguments.box_high_m or task.workspace_high_m)
    address, token = Address(arguments.host, arguments.port), load_credentials(arguments.credentials).token
    check_listening(address, token)
    interrupt = Interrupt()
    with (
        interrupt.armed(),
        contextlib.closing(_backend(arguments, box, task)) as backend,
        RobotServer(backend, address, token) as server,
    ):
        print(
            f"The {_SERVED[arguments.backend].format(task=task.name)} is at http://{server.address}. Ctrl-C ends it.",
            flush=True,
        )
        while server.is_serving and not interrupt.requested:
            time.sleep(0.1)
    return 0


_SERVED = {"sim": "simulated arm of {task}", "ros": "arm of ROS"}


def _backend(arguments: Arguments, box: Box, task: Task) -> Backend:
    common = box, arguments.limits, arguments.gripper, arguments.reset_joints_rad
    if arguments.backend == "ros":
        from hilserl.robot.ros_backend import RosBackend, RosSettings

        return RosBackend(RosSettings(*common, arguments.ros))
    from hilserl.robot.sim_backend import SimBackend, SimSettings

    return SimBackend(SimSettings(*common, task))
