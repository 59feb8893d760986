"""The description of a robot: an arm with its gripper."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Literal

import mujoco
import numpy as np

from hilserl.errors import HilserlError

Vec3 = tuple[float, float, float]
ControlName = Literal["torque", "position"]

HAND_BODY = "hand"
"""Body of the tool: z is the approach, fingers open along y."""
TCP_SITE = "tcp"
"""Site of the tool's point, in the hand's frame."""
WRIST_SITE = "wrist"
"""Site of the wrench sensor, or the hand's origin."""
WRIST_FORCE_SENSOR = "wrist_force"
WRIST_TORQUE_SENSOR = "wrist_torque"
GRIPPER_ACTUATOR = "gripper"

TURNS = ("tcp_drx", "tcp_dry", "tcp_drz")
"""Turns about the world's axes, as an action names them."""


@dataclass(frozen=True)
class Gripper:
    """The fingers of a robot and their drive.

    Positions are those of the finger joints, in metres for slides and radians for hinges. Two joints move alike.
    """

    joints: tuple[str, ...]
    """Joints of the fingers; one for a gripper with a fixed jaw."""
    opened: float
    """Position of an open finger."""
    closed: float = 0.0
    """Position of a closed finger, which is also its command."""
    full_grip: float = 0.0
    """Command that closes with full force at any gap."""
    opening_m: float = 0.08
    """Gap between the fingers of an open gripper."""
    pads: tuple[tuple[str, ...], tuple[str, ...]] = (("left_pad",), ("right_pad",))
    """Geoms of either side that hold an object."""
    gaps: tuple[tuple[float, float], ...] = ()
    """Gaps (m) by finger position, rising. Without them the gap is the sum of two slides."""
    swings: bool = False
    """True if the fingers swing, so that one gap only is parallel."""
    stiffness: float = 8000.0
    """Stiffness of the drive, in N/m or N m/rad."""
    force: float = 80.0
    """Largest force (N) or torque (N m), shared by the fingers."""

    def gap_m(self, positions: np.ndarray) -> float:
        """Compute the gap of measured finger positions."""
        if not self.gaps:
            return float(positions.sum())
        return float(np.interp(positions.mean(), *np.transpose(self.gaps)))

    def position(self, gap_m: float) -> float:
        """Compute the position of each finger at a gap."""
        if not self.gaps:
            return gap_m / 2
        positions, gaps = np.transpose(self.gaps)
        return float(np.interp(gap_m, gaps, positions))


@dataclass(frozen=True)
class Servo:
    """Position servos of an arm's joints, one number for each."""

    stiffness: tuple[float, ...]
    """Stiffness in N m/rad."""
    damping: tuple[float, ...]
    """Damping in N m s/rad."""
    torque: tuple[float, ...]
    """Largest torque in N m."""
    speed_rad_per_s: tuple[float, ...]
    """Largest speed of a command."""
    time_constant_s: float = 0.02
    """Time constant of the filter that smooths a command."""


class Body(ABC):
    """The mechanics of a robot."""

    @abstractmethod
    def build(self, robot: "RobotModel") -> mujoco.MjSpec:
        """Build the robot with its base at the origin.

        Its hand, tool point, wrist, gripper and joints have the names that `RobotModel` says.
        """


@dataclass(frozen=True)
class RobotModel:
    """A robot as data. Positions are in the base's frame: +x forward, +y left, +z up."""

    name: str
    """Name on the command line."""
    title: str
    """Name for people: maker, arm and gripper."""
    body: Body = field(repr=False)
    """Mechanics."""
    joints: tuple[str, ...]
    """Joints of the arm, from the base."""
    gripper: Gripper
    """Fingers."""
    home_joints_rad: tuple[float, ...]
    """Joints at home, near which the tool has its nominal orientation."""
    workspace_low_m: Vec3
    """Lowest coordinates of a tool in its nominal orientation."""
    workspace_high_m: Vec3
    """Highest coordinates of a tool in its nominal orientation."""
    tcp_from_hand_m: float
    """Distance of the tool's point from the hand, along z."""
    control: ControlName = "position"
    """Commands of the joints: torques, or positions of their servos."""
    senses_wrench: bool = False
    """True if the arm measures the force and torque at its wrist."""
    turns: tuple[str, ...] = TURNS
    """Turns from the nominal orientation that the arm can follow."""
    servo: Servo | None = None
    """Servos of an arm that takes positions."""
    step_factor: float = 1.0
    """Motion of a full action, as a factor of a Panda's.

    A small arm takes small steps.
    """
    tool_pitch_rad: float = 0.0
    """Lean of the nominal tool from straight down, away from the base."""

    def __post_init__(self) -> None:
        sizes = {"home_joints_rad": len(self.home_joints_rad)}
        if self.servo:
            sizes |= {name: len(getattr(self.servo, name)) for name in ("stiffness", "damping", "torque")}
        for name, size in sizes.items():
            if size != len(self.joints):
                raise HilserlError(
                    f"Robot {self.name!r}: {name} has {size} numbers, expected one for each joint {self.joints}."
                )
        if (self.servo is None) != (self.control == "torque"):
            raise HilserlError(f"Robot {self.name!r}: an arm has servos if, and only if, it takes positions.")

    def spec(self) -> mujoco.MjSpec:
        """Build the robot at the origin; attach it with a prefix."""
        return self.body.build(self)

    @property
    def tool_wxyz(self) -> tuple[float, float, float, float]:
        """Nominal orientation: down but for its pitch, fingers along y."""
        return 0.0, math.cos(self.tool_pitch_rad / 2), 0.0, math.sin(self.tool_pitch_rad / 2)

    @property
    def moves(self) -> tuple[str, ...]:
        """Moves of the tool that the arm can follow."""
        return ("tcp_dx", "tcp_dy", "tcp_dz", *self.turns)
