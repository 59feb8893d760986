"""Home and workspace of an arm, found by trying."""

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from hilserl.sim.quaternions import turn_between
from hilserl.sim.robot_models.kinematics import ArmKinematics, arm_alone
from hilserl.sim.robot_models.model import TCP_SITE, TURNS, RobotModel, Vec3
from hilserl.sim.robot_models.placement import reaches

PITCHES_DEG = (0.0, 30.0, 45.0)
"""Leans of the tool that are tried, from the most useful."""
_SAMPLES, _STARTS = 40_000, 40
_TURN_RAD, _NEAR_M = 0.6, 2e-3
_LARGEST_M = (0.4, 0.6, 0.4)
_SMALLEST_M = (0.08, 0.2, 0.12)
"""Smallest workspace in which a task has room."""
_STEP_M, _CLEAR_M, _TABLE_M = 0.03, 0.03, 0.0
_NEAREST_M = 0.12
"""Smallest distance of the workspace ahead of the base."""
_FULL_TURN_RAD = 3.1


@dataclass(frozen=True)
class Reach:
    """Home joints and workspace of an arm."""

    home_joints_rad: tuple[float, ...]
    """Joints at home."""
    low_m: Vec3
    """Lowest coordinates of the tool (base frame)."""
    high_m: Vec3
    """Highest coordinates of the tool (base frame)."""
    tool_pitch_deg: float
    """Lean of the tool from straight down."""

    @property
    def volume_m3(self) -> float:
        """Volume of the workspace."""
        return float(np.prod(np.subtract(self.high_m, self.low_m)))

    @property
    def score(self) -> float:
        """Figure of merit: room first, then volume and a calm home."""
        return 10.0 * self.is_roomy + 10.0 * self.volume_m3 - 0.1 * float(np.linalg.norm(self.home_joints_rad))

    @property
    def is_roomy(self) -> bool:
        """True if a task has room."""
        return bool((np.subtract(self.high_m, self.low_m) >= np.array(_SMALLEST_M) - 1e-9).all())


def find_reach(robots: tuple[RobotModel, RobotModel], seed: int = 0) -> tuple[Reach | None, Reach | None]:
    """Find home and workspace ahead of the base, above z = 0.

    Args:
        robots: The robot, and the same with its tool turned by half a turn; their homes and workspaces do not count.
        seed: Seed of the joints that are tried.

    Returns:
        For each the first lean's workspace that is large enough, else the largest; None if the tool comes nowhere.
    """
    joints, poses = _sampled(robots[0], np.random.default_rng(seed))
    turned = poses.copy()
    turned[:, [3, 4, 6, 7, 9, 10]] *= -1.0
    return _best(robots[0], joints, poses), _best(robots[1], joints, turned)


def _best(robot: RobotModel, joints: np.ndarray, poses: np.ndarray) -> Reach | None:
    """Find the best home and workspace over the leans of the tool."""
    found: list[Reach] = []
    for pitch_deg in PITCHES_DEG:
        leaning = replace(robot, tool_pitch_rad=float(np.deg2rad(pitch_deg)))
        reach = _try(leaning, pitch_deg, joints, poses)
        if reach and reach.is_roomy:
            return reach
        found += [reach] if reach else []
    return max(found, key=lambda reach: reach.volume_m3, default=None)


def _sampled(robot: RobotModel, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw joints within their limits.

    Returns:
        The joints, float64 [samples, n], and the tools' positions with their axes row by row, float64 [samples, 12].
    """
    model = arm_alone(robot).compile()
    data, site = mujoco.MjData(model), model.site(TCP_SITE).id
    order = [model.joint(name).qposadr[0] for name in robot.joints]
    limited = model.jnt_limited.astype(bool)
    low = np.where(limited, np.maximum(model.jnt_range[:, 0], -_FULL_TURN_RAD), -_FULL_TURN_RAD)
    high = np.where(limited, np.minimum(model.jnt_range[:, 1], _FULL_TURN_RAD), _FULL_TURN_RAD)
    joints, poses = rng.uniform(low, high, (_SAMPLES, model.nq)), np.zeros((_SAMPLES, 12))
    for number, drawn in enumerate(joints):
        data.qpos[:] = drawn
        mujoco.mj_kinematics(model, data)
        poses[number, :3], poses[number, 3:] = data.site_xpos[site], data.site_xmat[site]
    return joints[:, order], poses


def _try(robot: RobotModel, pitch_deg: float, joints: np.ndarray, poses: np.ndarray) -> Reach | None:
    """Find home and workspace for one lean of the tool."""
    axes = np.zeros(9)
    mujoco.mju_quat2Mat(axes, np.array(robot.tool_wxyz))
    turn = np.arccos(np.clip((poses[:, 3:] @ axes - 1.0) / 2.0, -1.0, 1.0))
    x, y, z = poses[:, :3].T
    ahead = (turn < _TURN_RAD) & (x > 0.05) & (np.abs(y) < 0.5 * x) & (z > _TABLE_M + 0.02) & (z < 0.35)
    if ahead.sum() < 3:
        return None
    middle = np.array([np.median(x[ahead]), 0.0, 0.12])
    best: tuple[float, np.ndarray] | None = None
    nearest = np.argsort(turn + 4.0 * np.linalg.norm(poses[:, :3] - middle, axis=1))[:_STARTS]
    for start in joints[nearest]:
        solved = _solve(robot, start, middle)
        if solved is not None and (best is None or solved[0] > best[0]):
            best = solved
    if best is None:
        return None
    home = tuple(np.round(best[1], 4).tolist())
    return _grown(replace(robot, home_joints_rad=home), middle, pitch_deg)


def _solve(robot: RobotModel, start: np.ndarray, position_m: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Bring the tool to a point; return the posture's score and joints."""
    kinematics, orientation = ArmKinematics(robot, start), np.array(robot.tool_wxyz)
    joints = start
    for _ in range(4):
        joints = kinematics.solve(joints, position_m, orientation)
    position, quaternion = kinematics.tool_pose(joints)
    turn = np.linalg.norm(turn_between(quaternion, orientation)) if robot.turns == TURNS else 0.0
    if np.linalg.norm(position - position_m) > _NEAR_M or turn > 0.02:
        return None
    heights = kinematics.heights_m(joints)
    if heights.min() < _CLEAR_M:
        return None
    # A high elbow keeps clear of the table; large angles wind up cables.
    return float(heights.max()) + min(0.4, kinematics.margin_rad(joints)) - 0.05 * float(np.linalg.norm(joints)), joints


def _grown(robot: RobotModel, middle_m: np.ndarray, pitch_deg: float) -> Reach | None:
    """Grow a box around the home as far as the tool follows."""
    low = np.array([middle_m[0] - _STEP_M, -_STEP_M, _TABLE_M])
    high = np.array([middle_m[0] + _STEP_M, _STEP_M, middle_m[2] + _STEP_M])
    margin = np.array([0.0, 0.0, 0.015])
    if not reaches(robot, low + margin, high):
        return None
    growing = [(0, 1), (1, 1), (0, 0), (2, 1)]
    while growing:
        for axis, upper in list(growing):
            new_low, new_high = low.copy(), high.copy()
            if upper or axis == 1:
                new_high[axis] += _STEP_M
            if not upper or axis == 1:
                new_low[axis] -= _STEP_M
            too_large = new_high[axis] - new_low[axis] > _LARGEST_M[axis] + 1e-9
            too_near = new_low[0] < min(_NEAREST_M, low[0])
            if too_large or too_near or not reaches(robot, new_low + margin, new_high):
                growing.remove((axis, upper))
            else:
                low, high = new_low, new_high
    assert robot.home_joints_rad
    return Reach(robot.home_joints_rad, _vector(low), _vector(high), pitch_deg)


def _vector(values: np.ndarray) -> Vec3:
    x, y, z = np.round(values, 3).tolist()
    return x, y, z
