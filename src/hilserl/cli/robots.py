"""List the robots, or check a robot's file."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from hilserl import tasks
from hilserl.cli.parsing import parse
from hilserl.cli.tables import print_table
from hilserl.errors import HilserlError
from hilserl.files import atomically
from hilserl.robot.http.images import as_png
from hilserl.sim.control import ArmSetup
from hilserl.sim.robot_files.description import RobotDescription, description_path, read_description, to_toml
from hilserl.sim.robot_files.drive_through import Miss, drive_through, four_sides
from hilserl.sim.robot_files.load import make_robot, require_reach
from hilserl.sim.robot_files.proposal import propose
from hilserl.sim.robot_models.model import RobotModel
from hilserl.sim.robot_models.registry import ROBOTS
from hilserl.sim.scene import world
from hilserl.sim.simulation import Simulation
from hilserl.sim.stage.stage import Stage
from hilserl.sim.task_env import CONTROL_DT_S

_IMAGE_PX = (300, 400)


@dataclass(frozen=True)
class RobotsArguments:
    """List the robots, or check a robot's file.

    `hilserl robots check FILE` says what a MJCF or URDF file and the TOML file beside it lack, proposes the TOML file,
    draws the robot from four sides and drives its tool through the workspace.
    """

    action: Annotated[Literal["list", "check"], tyro.conf.Positional] = "list"
    """List the robots, or check a file."""
    file: Annotated[Path | None, tyro.conf.Positional] = None
    """File to check, MJCF or URDF."""
    write: bool = False
    """Write the proposed TOML file, if there is none."""
    draw: Path | None = None
    """Directory for images; by default beside the checked file."""


def run(words: Sequence[str]) -> int:
    """Print the robots, or the findings about a file."""
    arguments = parse("robots", RobotsArguments, words)
    if arguments.action == "check":
        if arguments.file is None:
            raise HilserlError("Name the file to check: hilserl robots check FILE.xml, or FILE.urdf.")
        return _check(arguments.file, write=arguments.write, draw=arguments.draw)
    if arguments.file is not None:
        raise HilserlError(f"`hilserl robots list` takes no file, got {arguments.file}; did you mean check?")
    if arguments.draw:
        for robot in ROBOTS.values():
            print(_drawn(robot, arguments.draw))
        return 0
    print_table(
        ("robot", "arm and gripper", "joints", "takes", "senses a wrench", "opens", "workspace"),
        [_row(robot) for robot in ROBOTS.values()],
    )
    print("hilserl train pick_cube --robot NAME --obs state     train it")
    print("hilserl train pick_cube --robot FILE.xml             a robot of your own, from MJCF or URDF")
    print("hilserl robots check FILE.xml                        what the file lacks")
    return 0


def _row(robot: RobotModel) -> tuple[str, ...]:
    size_cm = 100 * np.subtract(robot.workspace_high_m, robot.workspace_low_m)
    return (
        robot.name,
        robot.title,
        str(len(robot.joints)),
        f"{robot.control}s",
        "yes" if robot.senses_wrench else "no",
        f"{1000 * robot.gripper.opening_m:.0f} mm",
        " x ".join(f"{size:.0f}" for size in size_cm) + " cm",
    )


def _check(path: Path, *, write: bool, draw: Path | None) -> int:
    """Check a robot's file; return 1 if something has to be changed."""
    beside = description_path(path)
    if beside.exists():
        description = read_description(path)
    else:
        description = propose(path)
        _offer(beside, description, write=write)
    try:
        robot = make_robot(path, description)
        require_reach(path, robot)
    except HilserlError:
        if not beside.exists() or write:
            raise
        print(f"{beside} does not fit; this is proposed instead:\n\n{to_toml(propose(path))}", file=sys.stderr)
        raise
    _print_robot(robot)
    print(f"Image: {_drawn(robot, draw or path.parent)}")
    misses = drive_through(robot)
    for miss in misses:
        print(_told(miss))
    if not misses:
        print("The tool reaches all corners of its workspace.")
    _print_tasks(robot)
    return 1 if misses else 0


def _offer(path: Path, description: RobotDescription, *, write: bool) -> None:
    """Print a proposed description, or write it."""
    text = to_toml(description)
    if write:
        atomically(path, lambda part: part.write_text(text))
        print(f"Written: {path}\n\n{text}")
    else:
        print(f"There is no {path}. This is proposed; --write writes it:\n\n{text}")


def _print_robot(robot: RobotModel) -> None:
    names = [name.split("/")[-1] for name in robot.joints]
    print(f"{robot.title}: {len(names)} joints that take {robot.control}s: {', '.join(names)}")
    gripper = robot.gripper
    moving = "one finger moves" if len(gripper.joints) == 1 else "both fingers move"
    print(f"Gripper: {moving} and opens {1000 * gripper.opening_m:.0f} mm.")
    if robot.servo:
        shown = ", ".join(f"{kp:.0f} ({limit:.0f})" for kp, limit in zip(*_gains(robot), strict=True))
        print(f"Stiffness of the servos in N m/rad, and largest torque in N m: {shown}")


def _gains(robot: RobotModel) -> tuple[tuple[float, ...], tuple[float, ...]]:
    assert robot.servo
    return robot.servo.stiffness, robot.servo.torque


def _told(miss: Miss) -> str:
    return (
        f"The tool misses the workspace's corner {list(miss.corner_m)} m by {1000 * miss.distance_m:.0f} mm and "
        f"{np.rad2deg(miss.turn_rad):.0f} degrees: draw this corner of [workspace] in."
    )


def _print_tasks(robot: RobotModel) -> None:
    for name in tasks.names():
        reason = tasks.find(name).obstacle(robot)
        print(f"{name}: {'no, ' + reason if reason else 'yes'}")


def _drawn(robot: RobotModel, directory: Path) -> Path:
    """Draw a robot at home from four sides to a PNG file."""
    setup = ArmSetup(robot=robot)
    views = four_sides(robot)
    simulation = Simulation(world((setup,), views), CONTROL_DT_S, (setup,))
    simulation.restart()
    with contextlib.closing(Stage(simulation)) as stage:
        images = [stage.image(view.name, *_IMAGE_PX) for view in views]
    image = as_png(np.concatenate([np.concatenate(images[:2], axis=1), np.concatenate(images[2:], axis=1)]))
    path = directory / f"{robot.name}.png"
    atomically(path, lambda part: part.write_bytes(image))
    return path
