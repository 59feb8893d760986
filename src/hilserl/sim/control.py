"""The setup of a task's arms: place, workspace and control.

A layout is a choice of names. Moves of the tool are its displacements (`tcp_dx`) and turns (`tcp_drx`), or the forces
(`tcp_fx`) and torques (`tcp_tx`) it is to exert; `gripper` is a gripper that is learned. Where a task has two arms,
each puts its name before its own (`left_tcp_dx`).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.sim.quaternions import rotate, turn_between
from hilserl.sim.robot_models.model import TURNS, RobotModel, Vec3
from hilserl.sim.robot_models.panda import PANDA

Six = tuple[float, float, float, float, float, float]
"""Components along x, y and z, then about them."""

POSE_MOVES = ("tcp_dx", "tcp_dy", "tcp_dz", *TURNS)
WRENCH_MOVES = ("tcp_fx", "tcp_fy", "tcp_fz", "tcp_tx", "tcp_ty", "tcp_tz")
TRANSLATION = POSE_MOVES[:3]
GRIPPER = "gripper"
MAX_STEP_M = 0.035
"""Default motion of a full action.

With it the hand crosses the workspace's 0.6 m in under two seconds.
"""
TOOL_DOWN_WXYZ = (0.0, 1.0, 0.0, 0.0)
ROBOT_PREFIX = "robot/"
"""Prefix of an only arm's bodies, joints and sites."""


def prefix_of(arm: str) -> str:
    """Return the prefix of an arm's bodies, joints and sites."""
    return f"{arm}/" if arm else ROBOT_PREFIX


@dataclass(frozen=True)
class Impedance:
    """Gains of a tool's Cartesian impedance.

    They are along and about the axes of the tool's target. The translational stiffness is the Franka arm's own maximum.
    """

    stiffness: Six = (3000.0, 3000.0, 3000.0, 150.0, 150.0, 150.0)
    """Stiffness in N/m and N m/rad."""
    damping: Six = (140.0, 140.0, 140.0, 7.0, 7.0, 7.0)
    """Damping in N s/m and N m s/rad."""
    max_wrench: Six = (150.0, 150.0, 150.0, 30.0, 30.0, 30.0)
    """Limit of force (N) and torque (N m)."""


def _check_moves(moves: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raise HilserlError if moves are unknown, missing, double or not in order."""
    if not moves or list(moves) != [name for name in known if name in moves]:
        raise HilserlError(f"moves={moves!r}: expected some of {known}, in this order.")


@dataclass(frozen=True)
class PoseControl:
    """Control of a tool's pose.

    An action moves the target from the tool's *measured* pose, along and about the world's axes.
    """

    moves: tuple[str, ...] = TRANSLATION
    """Moves of an action: some of `POSE_MOVES`, in their order."""
    max_step_m: float = MAX_STEP_M
    """Motion of a full action."""
    max_step_rad: float = 0.0
    """Turn of a full action; at 0 the orientation is fixed."""
    max_turn_rad: Vec3 = (0.0, 0.0, 0.0)
    """Largest turn from the nominal orientation, about each axis of the world."""
    impedance: Impedance = Impedance()
    """Gains that pull the tool to its target."""

    def __post_init__(self) -> None:
        _check_moves(self.moves, POSE_MOVES)

    def target(
        self, position_m: np.ndarray, quaternion_wxyz: np.ndarray, move: np.ndarray, arm: "ArmSetup"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Compute the target of a move.

        Args:
            position_m: The tool's measured position (world frame), [3].
            quaternion_wxyz: The tool's measured orientation (world frame), [4].
            move: Parts of a full action along and about the world's axes, float [6] in [-1, 1].
            arm: The arm, whose workspace bounds the target.

        Returns:
            Position (m) and orientation (wxyz) of the target (world frame).
        """
        position = np.clip(position_m + self.max_step_m * move[:3], arm.workspace_low_m, arm.workspace_high_m)
        nominal = np.array(arm.tool_wxyz)
        if not self.max_step_rad:
            return position, nominal
        turn = turn_between(nominal, rotate(quaternion_wxyz, self.max_step_rad * move[3:]))
        return position, rotate(nominal, np.clip(turn, -np.array(self.max_turn_rad), self.max_turn_rad))


@dataclass(frozen=True)
class WrenchControl:
    """Control of the force and torque that a tool exerts.

    An action is a wrench, fed forward; the impedance holds the axes that are not commanded. The target stays at
    `centre_m`. An axis that is commanded keeps the impedance's stiffness, which pulls it back there; choose it weak
    (HIL-SERL's controller for flipping does so as well). Outside the workspace no force is fed forward that leads
    further out.
    """

    moves: tuple[str, ...]
    """Moves of an action: some of `WRENCH_MOVES`, in their order."""
    max_wrench: Six
    """Force (N) and torque (N m) of a full action."""
    centre_m: Vec3
    """Position of the target (world frame)."""
    impedance: Impedance
    """Gains that pull the tool to its target."""

    def __post_init__(self) -> None:
        _check_moves(self.moves, WRENCH_MOVES)

    def wrench(self, position_m: np.ndarray, move: np.ndarray, arm: "ArmSetup") -> np.ndarray:
        """Compute the wrench that a move feeds forward.

        Args:
            position_m: The tool's measured position (world frame), [3].
            move: Parts of a full action along and about the world's axes, float [6] in [-1, 1].
            arm: The arm, outside of whose workspace no force leads further out.

        Returns:
            Force (N) and torque (N m) along and about the world's axes, float64 [6].
        """
        wrench = move * self.max_wrench
        low = np.where(position_m < arm.workspace_low_m, 0.0, -np.inf)
        high = np.where(position_m > arm.workspace_high_m, 0.0, np.inf)
        wrench[:3] = np.clip(wrench[:3], low, high)
        return wrench


@dataclass(frozen=True)
class ArmSetup:
    """One arm of a task.

    Positions are in metres in the world frame: +x forward, +y left, +z up.
    """

    name: str = ""
    """Prefix of its entries and actions; empty for an only arm."""
    control: PoseControl | WrenchControl = PoseControl()
    """Effect of an action on the tool."""
    has_gripper: bool = True
    """True if an action commands the gripper."""
    workspace_low_m: Vec3 = (0.2, -0.3, 0.0)
    """Lowest coordinates of the tool."""
    workspace_high_m: Vec3 = (0.6, 0.3, 0.5)
    """Highest coordinates of the tool."""
    nominal_speed_m_per_s: float = 0.3
    """Usual speed of the tool, the scale of its entry."""
    nominal_turn_rad_per_s: float = 0.5
    """Usual turn rate of the tool, the scale of its entry."""
    base_m: Vec3 = (0.0, 0.0, 0.0)
    """Position of the base."""
    base_yaw_rad: float = 0.0
    """Turn of the base about +z."""
    robot: RobotModel = PANDA
    """Arm and gripper."""
    home_joints_rad: tuple[float, ...] | None = None
    """Joints at home; by default the robot's."""
    home_m: Vec3 | None = None
    """Tool position at home; by default that of the home joints.

    There the tool has its nominal orientation, and the joints are as near to the home joints as they can be.
    """

    @cached_property
    def tool_wxyz(self) -> tuple[float, float, float, float]:
        """Nominal orientation: the robot's, the tool's x axis away from the base."""
        w, x, y, z = rotate(np.array(self.robot.tool_wxyz), np.array([0.0, 0.0, self.base_yaw_rad])).tolist()
        return w, x, y, z

    @property
    def base_wxyz(self) -> tuple[float, float, float, float]:
        """Orientation of the base (world frame)."""
        return math.cos(self.base_yaw_rad / 2), 0.0, 0.0, math.sin(self.base_yaw_rad / 2)

    @property
    def prefix(self) -> str:
        """Prefix of the arm's bodies, joints and sites in a scene."""
        return prefix_of(self.name)

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the arm's part of an action, without its prefix."""
        return (*self.control.moves, *((GRIPPER,) if self.has_gripper else ()))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arm's part of an action, with its prefix."""
        return tuple(map(self.called, self.numbers))

    @cached_property
    def axes(self) -> list[int]:
        """Indices of the commanded axes among the six."""
        every = POSE_MOVES if isinstance(self.control, PoseControl) else WRENCH_MOVES
        return [every.index(name) for name in self.control.moves]

    def move_of(self, moves: np.ndarray | tuple[float, ...]) -> np.ndarray:
        """Spread moves over the six axes, float64 [6]; others are 0."""
        six = np.zeros(6)
        six[self.axes] = moves
        return six

    def called(self, name: str) -> str:
        """Put the arm's prefix before a name."""
        return f"{self.name}_{name}" if self.name else name


def action_layout(arms: tuple[ArmSetup, ...]) -> ActionLayout:
    """Join the actions of several arms.

    Raises:
        HilserlError: Two arms have the same name, or there is no arm.
    """
    names = tuple(name for arm in arms for name in arm.names)
    if not arms or len({arm.name for arm in arms}) < len(arms):
        raise HilserlError(f"Invalid arm names {[arm.name for arm in arms]}: expected one or more distinct names.")
    learned = {arm.called(GRIPPER) for arm in arms if arm.has_gripper}
    return ActionLayout(names, tuple(i for i, name in enumerate(names) if name in learned))
