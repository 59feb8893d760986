"""Arguments of the robot server, and the arms that they choose."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, cast

import tyro

from hilserl import tasks
from hilserl.errors import HilserlError
from hilserl.lerobot.joints import LeRobotConfig
from hilserl.robot.backends import BUILT_IN, BackendOptions, ServedArm, find_options
from hilserl.robot.control.backend import Backend, GripperKind
from hilserl.robot.control.limits import Box, Limits
from hilserl.settings import Port
from hilserl.sim.control import ArmSetup
from hilserl.sim.robot_models.registry import find_robot
from hilserl.sim.task import Task
from hilserl.tasks.registry import obstacle_to_serving

_Vec3 = tuple[float, float, float]
_Vec7 = tuple[float, float, float, float, float, float, float]


@dataclass(frozen=True)
class RobotServerArguments:
    """Serve an arm, simulated or real, over HTTP."""

    backend: str
    """Arm to serve: sim, libfranka, lerobot, or one of another package.

    sim is an arm simulated in real time, libfranka a Franka, and lerobot any robot of LeRobot, as SO-101
    (docs/real_robot.md). packages/hilserl_ros1 adds ros, a Franka under ROS 1."""
    task: str = "pick_cube"
    """Task of the simulated scene. One with two arms has two servers. Its workspace is the default box of every arm."""
    robot: str = ""
    """Description of LeRobot's robot. A name of `hilserl robots` or a file; by default so101."""
    lerobot: LeRobotConfig = LeRobotConfig()  # noqa: RUF009 (it is frozen)
    """Settings of --backend lerobot. LeRobot's own flags, --robot.type and so on, stand beside them."""
    robot_ip: str = "172.16.0.2"
    """Address of a Franka arm's control box."""
    collision_torque_nm: _Vec7 = (20.0, 20.0, 18.0, 18.0, 16.0, 14.0, 12.0)
    """External joint torques that stop a Franka arm, in N m."""
    collision_force: tuple[float, float, float, float, float, float] = (20.0, 20.0, 20.0, 25.0, 25.0, 25.0)
    """Forces (N) and moments (N m) that stop a Franka arm."""
    port: Port = 5000
    """Port to listen on. The second arm of a simulated scene has the port after the next one."""
    host: str = "127.0.0.1"
    """Address to listen on. Outside loopback it needs a token in HILSERL_TOKEN."""
    gripper: GripperKind | None = None
    """Gripper: it decides the meaning of the commands 0 to 255. By default franka; percent for --backend lerobot."""
    box_low_m: _Vec3 | None = None
    """Lower corner of the tool's box, in the robot's base frame. By default the task's workspace."""
    box_high_m: _Vec3 | None = None
    """Upper corner of the tool's box, in the robot's base frame. By default the task's workspace."""
    reset_joints_rad: tuple[float, ...] | None = None
    """Joint positions of /jointreset. By default the arm's home in the task."""
    client: Literal["hilserl", "hil-serl"] = "hilserl"
    """Kind of the clients. hil-serl is HIL-SERL's own, which send a pose and wait: the watchdog's default is 2 s."""
    limits: Annotated[Limits, tyro.conf.arg(name="")] = Limits()  # noqa: RUF009 (it is frozen)
    options: tyro.conf.Suppress[tyro.conf.Fixed[BackendOptions | None]] = None
    """Settings of another package's backend, as flags --BACKEND.NAME."""
    stop_port: Port | None = None
    """Port of POST /stop alone; by default the one after --port. A second arm has it beside its own port."""
    credentials: Path | None = None
    """Directory with a token, from `hilserl credentials`."""
    token: bool = True
    """Ask clients of a real arm for a token.

    One is made if there is none. HIL-SERL's own clients send none: they need --no-token, which works on loopback only.
    """


HIL_SERL_LIMITS = Limits(watchdog_s=2.0)
"""Default limits for HIL-SERL's own clients."""


def form_of(words: Sequence[str]) -> type[RobotServerArguments]:
    """Return the arguments' class for the backend that a command line names.

    Raises:
        HilserlError: there is no such backend, or its package is not installed.
    """
    name = _backend_in(words)
    if name is None or name in BUILT_IN:
        return RobotServerArguments
    kind = find_options(name)
    field = ("options", Annotated[kind, tyro.conf.arg(name=name)], kind())
    described = {"__doc__": RobotServerArguments.__doc__}
    form = make_dataclass("OfBackend", [field], bases=(RobotServerArguments,), namespace=described, frozen=True)
    return cast("type[RobotServerArguments]", form)


def _backend_in(words: Sequence[str]) -> str | None:
    """Return the value of --backend, if the command line has it."""
    for word, following in itertools.pairwise((*words, "")):
        flag, equals, value = word.partition("=")
        if flag == "--backend":
            return value if equals else following
    return None


def served_task(arguments: RobotServerArguments) -> Task:
    """Return the task, with the description of the arm in it.

    Raises:
        HilserlError: the server cannot drive the task's arms, or an option belongs to another backend.
    """
    options, is_lerobot = arguments.options, arguments.backend == "lerobot"
    usual = "so101" if is_lerobot else options.robot if options else ""
    if arguments.lerobot.words and not is_lerobot:
        raise HilserlError(f"{arguments.lerobot.words[0].partition('=')[0]} belongs to --backend lerobot.")
    if arguments.robot and not usual:
        raise HilserlError(f"--robot belongs to --backend lerobot; --backend {arguments.backend} drives a Franka.")
    kind = tasks.find(arguments.task)
    task = kind(find_robot(arguments.robot or usual)) if usual else kind()
    check_served(task, arguments.backend)
    return task


def check_served(task: Task, backend: str) -> None:
    """Raise HilserlError for a task whose arms the server cannot drive."""
    if reason := obstacle_to_serving(task):
        raise HilserlError(f"{task.name} cannot be served: {reason}. Choose another --task.")
    if backend != "sim" and len(task.arms) > 1:
        raise HilserlError(
            f"--backend {backend} drives one arm; {task.name} has {len(task.arms)}. Start a server for each arm, with "
            "its own box: --box-low-m, --box-high-m and the --task of one arm."
        )


def open_backends(arguments: RobotServerArguments, task: Task) -> list[Backend]:
    """Open the chosen backend for each arm; only its libraries are imported."""
    arms = [_served_arm(arguments, arm) for arm in task.arms]
    if arguments.options is not None:
        return [arguments.options.open(arms[0])]
    gripper: GripperKind = arguments.gripper or ("percent" if arguments.backend == "lerobot" else "franka")
    common: list[tuple[Box, Limits, GripperKind, tuple[float, ...]]] = [
        (arm.box, arm.limits, gripper, arm.reset_joints_rad) for arm in arms
    ]
    if arguments.backend == "lerobot":
        from hilserl.robot.drivers.lerobot.backend import LeRobotBackend, LeRobotSettings

        return [LeRobotBackend(LeRobotSettings(*common[0], task.arms[0].robot, arguments.lerobot))]
    if arguments.backend == "libfranka":
        from hilserl.robot.drivers.franka.backend import FrankaBackend, FrankaSettings

        limits = (arguments.collision_torque_nm, arguments.collision_force)
        return [FrankaBackend(FrankaSettings(*common[0], arguments.robot_ip, *limits))]
    from hilserl.robot.drivers.sim.backend import SimSettings, sim_backends

    first, *others = (SimSettings(*each, task) for each in common)
    return [*sim_backends(replace(first, beside=tuple(others)))]


def _served_arm(arguments: RobotServerArguments, arm: ArmSetup) -> ServedArm:
    """Return an arm with its limits, in the frame of its base."""
    own = Box(arm.workspace_low_m, arm.workspace_high_m).seen_from(arm.base_m, arm.base_yaw_rad)
    return ServedArm(
        arm,
        Box(arguments.box_low_m or own.low_m, arguments.box_high_m or own.high_m),
        arguments.limits,
        arguments.gripper,
        arguments.reset_joints_rad or arm.home_joints_rad or arm.robot.home_joints_rad,
        arguments.robot_ip,
    )
