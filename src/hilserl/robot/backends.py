"""Backends of other packages, found by their entry points.

Another package adds a backend by an entry point of the group `hilserl.backends` that names the class of its options:
`my_arm = "my_package.options:MyArmOptions"`. Then `hilserl robot-server --backend my_arm` serves that arm.
"""

import importlib.metadata
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from hilserl.errors import HilserlError, unknown
from hilserl.plug_ins import load_class
from hilserl.robot.control.backend import Backend, GripperKind
from hilserl.robot.control.limits import Box, Limits
from hilserl.sim.control import ArmSetup

PLUG_INS = "hilserl.backends"
"""Entry-point group in which another package names its backends."""
BUILT_IN = ("sim", "libfranka", "lerobot")
"""Backends of this package."""
_APART = {"ros": "packages/hilserl_ros1"}
"""Directories of the repository's other packages, by their backends."""


@dataclass(frozen=True)
class ServedArm:
    """Arm that the server's command line describes."""

    setup: ArmSetup
    """Description of the arm and its place in the task."""
    box: Box
    """Region in which the tool may be."""
    limits: Limits
    """Bounds on commanded poses."""
    gripper: GripperKind | None
    """Kind of the gripper; None for the backend's usual one."""
    reset_joints_rad: tuple[float, ...]
    """Posture of a joint reset, an angle for each joint."""
    robot_ip: str
    """Address of the robot."""


class BackendOptions(ABC):
    """Options of a backend, for a frozen dataclass with defaults.

    Its fields are flags of `hilserl robot-server`, named `--BACKEND.FIELD`.
    """

    robot: ClassVar[str] = ""
    """Usual description of the arm, as of `hilserl robots`. Empty for a backend that drives a Franka only."""

    @abstractmethod
    def open(self, arm: ServedArm) -> Backend:
        """Open the backend. Only now import its libraries.

        Raises:
            HilserlError: the arm does not start; the message says why.
        """


def find_options(name: str) -> type[BackendOptions]:
    """Return the options of another package's backend.

    Raises:
        HilserlError: there is no such backend, or its package is broken.
    """
    points = {point.name: point for point in importlib.metadata.entry_points(group=PLUG_INS)}
    if name in points:
        return load_class(points[name], BackendOptions)
    if directory := _APART.get(name):
        raise HilserlError(
            f"--backend {name} is in a package of its own, which is not installed. In the checkout of hilserl: "
            f"python -m pip install ./{directory}"
        )
    raise unknown("backend", name, {*BUILT_IN, *points, *_APART})
