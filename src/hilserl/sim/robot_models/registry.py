"""The built-in robots, by name."""

from pathlib import Path

from hilserl.errors import unknown
from hilserl.sim.robot_files.load import load_robot
from hilserl.sim.robot_files.source import is_file_name
from hilserl.sim.robot_models.fr3 import FR3
from hilserl.sim.robot_models.gen3 import GEN3
from hilserl.sim.robot_models.model import RobotModel
from hilserl.sim.robot_models.openarm import OPENARM
from hilserl.sim.robot_models.panda import PANDA
from hilserl.sim.robot_models.so101 import SO101
from hilserl.sim.robot_models.ur5e import UR5E
from hilserl.sim.robot_models.vx300s import VX300S
from hilserl.sim.robot_models.xarm7 import XARM7

ROBOTS: dict[str, RobotModel] = {robot.name: robot for robot in (PANDA, FR3, UR5E, XARM7, GEN3, VX300S, OPENARM, SO101)}
"""Robots that are in the package."""


def find_robot(name: str) -> RobotModel:
    """Return a built-in robot, or load one from a file.

    Args:
        name: A name, or the path of an MJCF or URDF file with a TOML file beside it.

    Raises:
        HilserlError: No robot has this name, or the file is missing or broken.
    """
    if is_file_name(name):
        return load_robot(Path(name))
    if name not in ROBOTS:
        raise unknown("robot", name, ROBOTS)
    return ROBOTS[name]
