"""Placement of robots where they reach a task."""

import functools
import itertools
from dataclasses import dataclass, replace

import numpy as np

from hilserl.errors import HilserlError
from hilserl.sim.control import TRANSLATION, ArmSetup, PoseControl, WrenchControl
from hilserl.sim.quaternions import rotate_vector, turn_between
from hilserl.sim.robot_models.kinematics import ArmKinematics
from hilserl.sim.robot_models.model import TURNS, RobotModel, Vec3

_NEAR_M, _NEAR_RAD = 3e-3, 0.03
"""Largest errors of a pose that counts as reached."""
_STEPS, _SHIFTS_M = 10, (0.0, -0.02, 0.02, -0.04, 0.04, -0.06, 0.06, -0.08, 0.08, -0.1, 0.1)
_EPSILON_M = 1e-9


@dataclass(frozen=True)
class Needs:
    """Demands of a task on its robots, beside its control's."""

    opening_m: float = 0.05
    """Smallest gap of an open gripper."""
    upright: bool = False
    """True if the tool has to point straight down."""
    every_turn: bool = False
    """True if the tool has to follow every turn of the action."""
    shrinks: bool = False
    """True if the task fits into a smaller workspace."""
    least_workspace_m: Vec3 = (0.1, 0.2, 0.15)
    """Smallest workspace of a task that shrinks."""
    yields: bool = False
    """True if the arm has to yield to contact, which takes torques."""
    parallel_fingers: bool = False
    """True if the fingers have to stay parallel."""


def obstacle(arm: ArmSetup, needs: Needs, robot: RobotModel) -> str | None:
    """Say why a robot cannot do a task; None if it can."""
    if robot is arm.robot:
        return None
    gripper = robot.gripper
    if isinstance(arm.control, WrenchControl) and robot.control != "torque":
        return "it takes positions, and the task commands forces"
    if needs.yields and robot.control != "torque":
        return "it takes positions and does not yield, and the task presses parts together"
    if gripper.opening_m < needs.opening_m:
        return f"its gripper opens {1000 * gripper.opening_m:.0f} mm, and the task needs {1000 * needs.opening_m:.0f}"
    if needs.parallel_fingers and gripper.swings:
        return "its fingers swing, and the task needs parallel ones"
    if needs.upright and robot.tool_pitch_rad:
        return f"its tool leans by {np.rad2deg(robot.tool_pitch_rad):.0f} degrees, and the task needs it upright"
    missing = [move for move in arm.control.moves if move in TURNS and move not in robot.turns]
    if missing and needs.every_turn:
        return f"its {len(robot.joints)} joints cannot follow {', '.join(missing)}"
    return None if _base_shift_m(arm, needs, robot) is not None else _too_small(arm, needs, robot)


def place_robot(task: str, arm: ArmSetup, needs: Needs, robot: RobotModel) -> ArmSetup:
    """Put a robot into an arm's place in a task.

    The task stays where it is; the base moves so that the tool reaches all of it. A task that shrinks gets the robot's
    own workspace, around the same middle.

    Args:
        task: Name of the task, for errors.
        arm: The arm as the task declares it.
        needs: Demands of the task.
        robot: The robot.

    Raises:
        HilserlError: The robot cannot do the task; the message says why.
    """
    if robot is arm.robot:
        return arm
    reason = obstacle(arm, needs, robot)
    if reason:
        raise HilserlError(
            f"The robot {robot.name!r} cannot do {task}: {reason}. `hilserl tasks` shows which robot can do which task."
        )
    shift = _base_shift_m(arm, needs, robot)
    assert shift is not None
    base = tuple(np.add(arm.base_m, rotate_vector(np.array(arm.base_wxyz), np.array(shift))).tolist())
    placed = replace(arm, robot=robot, base_m=base, home_joints_rad=None, control=_control(arm, robot))
    if not needs.shrinks:
        return replace(placed, home_m=_home_m(arm))
    low, high = _in_world(placed, np.array(robot.workspace_low_m), np.array(robot.workspace_high_m))
    low, high = np.maximum(low, arm.workspace_low_m), np.minimum(high, arm.workspace_high_m)
    return replace(placed, workspace_low_m=tuple(low.tolist()), workspace_high_m=tuple(high.tolist()), home_m=None)


def _control(arm: ArmSetup, robot: RobotModel) -> PoseControl | WrenchControl:
    """Fit moves and step to the robot."""
    control = arm.control
    if isinstance(control, WrenchControl):
        return control
    moves = tuple(move for move in control.moves if move in (*TRANSLATION, *robot.turns))
    return replace(control, moves=moves, max_step_m=control.max_step_m * robot.step_factor)


@functools.cache
def _home_m(arm: ArmSetup) -> Vec3:
    """Return the tool's position at home (world frame)."""
    if arm.home_m is not None:
        return arm.home_m
    joints = np.array(arm.home_joints_rad or arm.robot.home_joints_rad)
    tool_m, _ = ArmKinematics(arm.robot, joints).tool_pose(joints)
    x, y, z = (np.array(arm.base_m) + rotate_vector(np.array(arm.base_wxyz), tool_m)).tolist()
    return x, y, z


@functools.cache
def _base_shift_m(arm: ArmSetup, needs: Needs, robot: RobotModel) -> Vec3 | None:
    """Return the motion of the base, in its own frame.

    None if the robot does not reach the task.
    """
    low, high = _in_base(arm, np.array(arm.workspace_low_m), np.array(arm.workspace_high_m))
    own_low, own_high = np.array(robot.workspace_low_m), np.array(robot.workspace_high_m)
    centring = (low + high - own_low - own_high) / 2 * (1.0, 1.0, 0.0)
    if needs.shrinks:
        enough = np.minimum(own_high - own_low, high - low) >= np.array(needs.least_workspace_m) - _EPSILON_M
        return _vector(centring) if enough.all() else None
    inside = (low >= own_low - _EPSILON_M).all() and (high <= own_high + _EPSILON_M).all()
    if inside:
        return 0.0, 0.0, 0.0
    for shift_m in _SHIFTS_M:
        shift = centring + np.array([shift_m, 0.0, 0.0])
        if reaches(robot, low - shift, high - shift):
            return _vector(shift)
    return None


def reaches(robot: RobotModel, low_m: np.ndarray, high_m: np.ndarray) -> bool:
    """True if the tool comes from home to a box's corners."""
    home, orientation = np.array(robot.home_joints_rad, float), np.array(robot.tool_wxyz)
    kinematics = ArmKinematics(robot, home)
    start, _ = kinematics.tool_pose(home)
    for corner in itertools.product(*zip(low_m, high_m, strict=True)):
        joints = home
        for part in np.linspace(0.0, 1.0, _STEPS + 1)[1:]:
            joints = kinematics.solve(joints, start + part * (np.array(corner) - start), orientation)
        position, quaternion = kinematics.tool_pose(joints)
        turn = np.linalg.norm(turn_between(quaternion, orientation)) if robot.turns == TURNS else 0.0
        if np.linalg.norm(position - corner) > _NEAR_M or turn > _NEAR_RAD:
            return False
    return True


def _too_small(arm: ArmSetup, needs: Needs, robot: RobotModel) -> str:
    """Say what the workspaces measure."""
    needed = (
        needs.least_workspace_m if needs.shrinks else np.subtract(arm.workspace_high_m, arm.workspace_low_m).tolist()
    )
    own = np.subtract(robot.workspace_high_m, robot.workspace_low_m).tolist()
    needed_cm, own_cm = (" x ".join(f"{100 * size:.0f}" for size in sizes) for sizes in (needed, own))
    return f"it does not reach all of the task's {needed_cm} cm (its own workspace is {own_cm} cm)"


def _in_base(arm: ArmSetup, low_m: np.ndarray, high_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the base's box around a box of the world."""
    inverse = np.array(arm.base_wxyz) * (1.0, -1.0, -1.0, -1.0)
    ends = [rotate_vector(inverse, end - np.array(arm.base_m)) for end in (low_m, high_m)]
    return np.min(ends, axis=0), np.max(ends, axis=0)


def _in_world(arm: ArmSetup, low_m: np.ndarray, high_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the world's box around a box of the base."""
    ends = [np.array(arm.base_m) + rotate_vector(np.array(arm.base_wxyz), end) for end in (low_m, high_m)]
    return np.min(ends, axis=0), np.max(ends, axis=0)


def _vector(values: np.ndarray) -> Vec3:
    x, y, z = values.tolist()
    return x, y, z
