"""An arm of a task: where it stands, what each number of an action does to it, and what it tells of itself.

A layout is a choice of names. Moves of the tool are its displacements (`tcp_dx`) and turns (`tcp_drx`), or the forces
(`tcp_fx`) and torques (`tcp_tx`) it is to exert; `gripper` is a gripper that is learned. Where a task has two arms,
each puts its name before its own (`left_tcp_dx`).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.sim.panda import HOME_JOINTS_RAD
from hilserl.sim.quaternions import rotate, turn_between

Vec3 = tuple[float, float, float]
Six = tuple[float, float, float, float, float, float]
"""Along x, y and z, then about them."""

POSE_MOVES = ("tcp_dx", "tcp_dy", "tcp_dz", "tcp_drx", "tcp_dry", "tcp_drz")
WRENCH_MOVES = ("tcp_fx", "tcp_fy", "tcp_fz", "tcp_tx", "tcp_ty", "tcp_tz")
TRANSLATION = POSE_MOVES[:3]
GRIPPER = "gripper"
MAX_STEP_M = 0.035
"""How far a full action moves the target: the hand crosses the workspace's 0.6 m in under two seconds."""
TOOL_DOWN_WXYZ = (0.0, 1.0, 0.0, 0.0)


@dataclass(frozen=True)
class Impedance:
    """Gains of a tool's Cartesian impedance along and about the axes of its target.

    The translational stiffness is the Franka arm's own maximum.
    """

    stiffness: Six = (3000.0, 3000.0, 3000.0, 150.0, 150.0, 150.0)
    """N/m and N m/rad."""
    damping: Six = (140.0, 140.0, 140.0, 7.0, 7.0, 7.0)
    """N s/m and N m s/rad."""
    max_wrench: Six = (150.0, 150.0, 150.0, 30.0, 30.0, 30.0)
    """N and N m."""


def _check_moves(moves: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Raises HilserlError where moves are unknown, missing, double or not in order."""
    if not moves or list(moves) != [name for name in known if name in moves]:
        raise HilserlError(f"moves={moves!r}: expected some of {known}, in this order.")


@dataclass(frozen=True)
class PoseControl:
    """An action moves the tool's target from where the tool was *measured*, along the world's axes."""

    moves: tuple[str, ...] = TRANSLATION
    """Some of `POSE_MOVES`, in their order."""
    max_step_m: float = MAX_STEP_M
    max_step_rad: float = 0.0
    """Of a full action; a tool without turns keeps its nominal orientation."""
    max_turn_rad: Vec3 = (0.0, 0.0, 0.0)
    """How far the target may be turned from the nominal orientation, about each axis of the world."""
    impedance: Impedance = Impedance()

    def __post_init__(self) -> None:
        _check_moves(self.moves, POSE_MOVES)

    def target(
        self, position_m: np.ndarray, quaternion_wxyz: np.ndarray, move: np.ndarray, arm: "ArmSetup"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Where a move (float [6], of a full action, along and about the world's axes) leads the tool: pose, wxyz."""
        position = np.clip(position_m + self.max_step_m * move[:3], arm.workspace_low_m, arm.workspace_high_m)
        nominal = np.array(arm.tool_wxyz)
        if not self.max_step_rad:
            return position, nominal
        turn = turn_between(nominal, rotate(quaternion_wxyz, self.max_step_rad * move[3:]))
        return position, rotate(nominal, np.clip(turn, -np.array(self.max_turn_rad), self.max_turn_rad))


@dataclass(frozen=True)
class WrenchControl:
    """An action is a force and torque of the tool on the world, fed forward; the impedance holds the other axes.

    The target stays at `centre_m`. An axis that is commanded keeps the impedance's stiffness, which pulls it back
    there; choose it weak (HIL-SERL's controller for flipping does so as well). Outside the workspace no force is fed
    forward that leads further out.
    """

    moves: tuple[str, ...]
    """Some of `WRENCH_MOVES`, in their order."""
    max_wrench: Six
    """N and N m of a full action along and about each axis of the world."""
    centre_m: Vec3
    impedance: Impedance

    def __post_init__(self) -> None:
        _check_moves(self.moves, WRENCH_MOVES)

    def wrench(self, position_m: np.ndarray, move: np.ndarray, arm: "ArmSetup") -> np.ndarray:
        """What a move (float [6], of a full action, along and about the world's axes) feeds forward, N and N m."""
        wrench = move * self.max_wrench
        low = np.where(position_m < arm.workspace_low_m, 0.0, -np.inf)
        high = np.where(position_m > arm.workspace_high_m, 0.0, np.inf)
        wrench[:3] = np.clip(wrench[:3], low, high)
        return wrench


@dataclass(frozen=True)
class ArmSetup:
    """One arm. Positions are in metres in the world frame: +x forward, +y left, +z up."""

    name: str = ""
    """Before the names of all that is its; empty where it is the only one."""
    control: PoseControl | WrenchControl = PoseControl()
    has_gripper: bool = True
    """Whether an action commands the gripper."""
    workspace_low_m: Vec3 = (0.2, -0.3, 0.0)
    workspace_high_m: Vec3 = (0.6, 0.3, 0.5)
    nominal_speed_m_per_s: float = 0.3
    nominal_turn_rad_per_s: float = 0.5
    """How fast its tool usually moves and turns: the scale at which a policy is told of it."""
    base_m: Vec3 = (0.0, 0.0, 0.0)
    base_yaw_rad: float = 0.0
    home_joints_rad: tuple[float, ...] = HOME_JOINTS_RAD
    home_m: Vec3 | None = None
    """Where the tool is at home, in its nominal orientation and the posture nearest to the joints'; by default where
    those have it."""

    @cached_property
    def tool_wxyz(self) -> tuple[float, float, float, float]:
        """The nominal orientation: straight down, its x axis pointing away from the base."""
        w, x, y, z = rotate(np.array(TOOL_DOWN_WXYZ), np.array([0.0, 0.0, self.base_yaw_rad])).tolist()
        return w, x, y, z

    @property
    def numbers(self) -> tuple[str, ...]:
        """What an action tells it, in order, without the arm's name: its moves, and its gripper's."""
        return (*self.control.moves, *((GRIPPER,) if self.has_gripper else ()))

    @property
    def names(self) -> tuple[str, ...]:
        """The same with the arm's name, as the action's layout has it."""
        return tuple(map(self.called, self.numbers))

    @cached_property
    def axes(self) -> list[int]:
        """Which of the six axes its moves are along or about, in their order."""
        every = POSE_MOVES if isinstance(self.control, PoseControl) else WRENCH_MOVES
        return [every.index(name) for name in self.control.moves]

    def move_of(self, moves: np.ndarray | tuple[float, ...]) -> np.ndarray:
        """The six axes' numbers, float64 [6], of its moves' in their order; what it does not move is 0."""
        six = np.zeros(6)
        six[self.axes] = moves
        return six

    def called(self, name: str) -> str:
        """A name of its own."""
        return f"{self.name}_{name}" if self.name else name


def action_layout(arms: tuple[ArmSetup, ...]) -> ActionLayout:
    """The actions of these arms together. Raises HilserlError where two arms have one name."""
    names = tuple(name for arm in arms for name in arm.names)
    if not arms or len({arm.name for arm in arms}) < len(arms):
        raise HilserlError(f"Arms need names of their own, got {[arm.name for arm in arms]}.")
    learned = {arm.called(GRIPPER) for arm in arms if arm.has_gripper}
    return ActionLayout(names, tuple(i for i, name in enumerate(names) if name in learned))
