"""Handover: one arm passes a bar to the other in the air."""

import math
from dataclasses import replace
from typing import NamedTuple

import mujoco
import numpy as np
from typing_extensions import override

from hilserl.data.spec import entry
from hilserl.sim.arm import GRIPPER_CLOSED, GRIPPER_OPEN, Arm
from hilserl.sim.control import POSE_MOVES, ArmSetup, PoseControl
from hilserl.sim.environment import towards
from hilserl.sim.quaternions import rotate
from hilserl.sim.randomisation import Randomisation
from hilserl.sim.robot_models.placement import Needs
from hilserl.sim.scene import WRIST, CameraView
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task, TaskPreset
from hilserl.tasks.handover_trays import PLATE_M, RIDGE_M, RIM_M, TRAY_HALF_M, TRAY_X_M, add_trays

BAR = "bar"
LENGTH_M, HALF_M = 0.2, 0.016
"""Length of the bar along x, and half its height and width."""
GRASP_M = 0.065
"""Distance of either grasp from the bar's middle."""
RESTING_M = PLATE_M + HALF_M
"""Height of a bar that lies in a tray."""
MEETING_M = 0.2
"""Height of the handover, above x = y = 0."""
_START_M, _START_RAD = (0.03, 0.035), 0.25
"""Largest offset and turn of the bar at the start."""

_MAX_YAW_RAD = 0.7
_LOWEST_M = RIM_M + 0.0125
_CONTROL = PoseControl(POSE_MOVES, max_step_m=0.035, max_step_rad=0.15, max_turn_rad=(0.05, 0.05, _MAX_YAW_RAD))
_LEFT = ArmSetup(
    name="left",
    control=_CONTROL,
    workspace_low_m=(-0.36, -0.08, _LOWEST_M),
    workspace_high_m=(-0.055, 0.08, 0.28),
    base_m=(-0.65, 0.0, 0.0),
    home_joints_rad=(0.0, -0.407994, 0.0, -2.801644, 0.0, 2.39365, 0.785398),
)
_RIGHT = ArmSetup(
    name="right",
    control=_CONTROL,
    workspace_low_m=(0.055, -0.08, _LOWEST_M),
    workspace_high_m=(0.36, 0.08, 0.28),
    base_m=(0.65, 0.0, 0.0),
    base_yaw_rad=math.pi,
    home_joints_rad=(0.0, -0.000853, 0.0, -2.255551, 0.0, 2.254698, 0.785398),
)
_HOVER_M, _ALIGNED_M, _ALIGNED_RAD = 0.05, 0.014, 0.15
_AT_REST_M_PER_S = 0.1

_BOX = mujoco.mjtGeom.mjGEOM_BOX
_RED, _BLUE = (0.80, 0.20, 0.15, 1.0), (0.15, 0.30, 0.75, 1.0)


class Bar(NamedTuple):
    """Pose of the bar."""

    middle_m: np.ndarray
    """Position of its middle."""
    axis: np.ndarray
    """Unit vector along the bar, towards the right arm."""

    def at_m(self, along_m: float) -> np.ndarray:
        """Return the point of the axis at a distance from the middle."""
        return self.middle_m + along_m * self.axis

    @property
    def yaw_rad(self) -> float:
        """Turn of the bar about +z."""
        return math.atan2(self.axis[1], self.axis[0])

    @property
    def is_in_right_tray(self) -> bool:
        """True if both ends are on the right tray's floor."""
        ends = np.abs([self.at_m(half)[:2] - (TRAY_X_M, 0.0) for half in (-LENGTH_M / 2, LENGTH_M / 2)])
        return bool((ends < TRAY_HALF_M).all()) and abs(self.middle_m[2] - RESTING_M) < 0.008


class Handover(Task):
    """Task of passing a bar into the right tray."""

    name = "handover"
    summary = "take a bar from a tray, pass it in the air to a second arm, set it into the other tray"
    published = "100 % after 43,000 steps, 2.5 h (HIL-SERL)"
    preset = TaskPreset(
        {
            "agent.discount": 0.95,
            "agent.initial_temperature": 0.002,
            "agent.target_entropy_per_action": -2.0,
            "agent.cloning_weight": 0.01,
            "max_env_steps": 3_000,
            "max_minutes": 90,
            "eval_every": 1_000,
            "demonstrations": 30,
        }
    )
    max_episode_steps = 150
    arms = (_LEFT, _RIGHT)
    needs = Needs(opening_m=0.06, upright=True)
    views = (
        CameraView("front", (0.0, -0.88, 0.62), (0.0, 0.0, 0.11), 47.0),
        CameraView("side", (0.0, 0.72, 0.85), (0.0, 0.0, 0.08), 46.0),
        *(
            replace(WRIST, name=f"{arm.name}_wrist", position_m=(-0.09, 0.0, 0.03), body=f"{arm.prefix}hand")
            for arm in arms
        ),
        CameraView("overview", (0.35, -1.7, 0.85), (0.0, 0.0, 0.24), 40.0),
    )
    cameras = ("front", "side", "left_wrist", "right_wrist")
    reward_cameras = ("front", "side")
    state = (
        entry("bar_position_m", 3, (0.0, 0.0, 0.1), (0.2, 0.05, 0.1)),
        entry("bar_axis", 3, (1.0, 0.0, 0.0), 0.3),
        # A grasp is a matter of centimetres: at the workspace's scale it takes several times the data to learn.
        entry("left_grasp_from_tcp_m", 3, scale=0.03),
        entry("right_grasp_from_tcp_m", 3, scale=0.03),
    )
    randomisation = Randomisation(bodies=(BAR,))

    @override
    def build(self, world: mujoco.MjSpec) -> None:
        add_trays(world)
        bar = world.worldbody.add_body(name=BAR, pos=[-TRAY_X_M, 0.0, RESTING_M])
        bar.add_freejoint()
        bar.add_geom(type=_BOX, size=[LENGTH_M / 2, HALF_M, HALF_M], mass=0.15, rgba=_BLUE)
        # The left arm's half has another colour; that geom is only drawn and does not collide.
        half = bar.add_geom(type=_BOX, size=np.array([LENGTH_M / 4, HALF_M, HALF_M]) + 3e-4, mass=0.0, rgba=_RED)
        half.pos, half.contype, half.conaffinity = [-LENGTH_M / 4, 0.0, 0.0], 0, 0

    @override
    def reset(self, sim: Simulation, rng: np.random.Generator) -> None:
        x, y = rng.uniform(-1.0, 1.0, 2) * _START_M + (-TRAY_X_M, 0.0)
        sim.place(BAR, np.array([x, y, RESTING_M]), yaw_rad=rng.uniform(-_START_RAD, _START_RAD))

    @override
    def observe(self, sim: Simulation) -> dict[str, np.ndarray]:
        bar = bar_of(sim)
        left, right = sim.arms
        return {
            "bar_position_m": bar.middle_m,
            "bar_axis": bar.axis,
            "left_grasp_from_tcp_m": bar.at_m(-GRASP_M) - left.tcp_position_m,
            "right_grasp_from_tcp_m": bar.at_m(GRASP_M) - right.tcp_position_m,
        }

    @override
    def success(self, sim: Simulation) -> bool:
        let_go = all(arm.gripper_command == GRIPPER_OPEN and not sim.held(BAR, arm) for arm in sim.arms)
        speed_m_per_s = np.linalg.norm(sim.velocity(BAR)[0])
        return let_go and bar_of(sim).is_in_right_tray and bool(speed_m_per_s < _AT_REST_M_PER_S)

    @override
    def expert(self, sim: Simulation) -> np.ndarray:
        bar = bar_of(sim)
        left, right = sim.arms
        left_holds, right_holds = sim.held(BAR, left), sim.held(BAR, right)
        return np.concatenate([_left(left, bar, left_holds, right_holds), _right(right, bar, left_holds, right_holds)])

    @override
    def progress(self, sim: Simulation) -> float:
        bar = bar_of(sim)
        left, right = sim.arms
        left_holds, right_holds = sim.held(BAR, left), sim.held(BAR, right)
        if right_holds and not left_holds:
            return 0.7 + 0.25 * _nearness(right.tcp_position_m, _right_goal_m(0.0), 0.3)
        if right_holds:
            return 0.6
        if left_holds:
            lifted = _nearness(left.tcp_position_m, _LEFT_MEETING_M, 0.35)
            return 0.2 + 0.25 * lifted + 0.1 * _nearness(right.tcp_position_m, bar.at_m(GRASP_M), 0.2)
        if bar.is_in_right_tray:
            return 0.97
        if bar.middle_m[0] > RIDGE_M[0]:
            return 0.4 + 0.15 * _nearness(right.tcp_position_m, bar.at_m(GRASP_M), 0.25)
        return 0.15 * _nearness(left.tcp_position_m, bar.at_m(-GRASP_M), 0.25)

    def harm(self, sim: Simulation) -> bool:
        """True if the bar leaves the reach or hands are too near."""
        left, right = sim.arms
        bar = bar_of(sim)
        apart_m = right.tcp_position_m[0] - left.tcp_position_m[0]
        return bool(abs(bar.middle_m[1]) > TRAY_HALF_M[1] or apart_m < 0.105)


def bar_of(sim: Simulation) -> Bar:
    """Read the bar's pose from the simulation."""
    axis = sim.data.body(BAR).xmat.reshape(3, 3)[:, 0]
    return Bar(sim.position_m(BAR), axis * (1.0 if axis[0] >= 0 else -1.0))


_LEFT_MEETING_M = np.array([-GRASP_M - 0.005, 0.0, MEETING_M])
_GIVEN_M = -0.045
"""Largest position of the left hand along the bar.

Nearer to the bar's middle there is no room for the right arm.
"""
_LEFT_WAITS_M = np.array([-0.2, 0.0, MEETING_M])
_RIGHT_WAITS_M = np.array([GRASP_M + 0.02, 0.0, MEETING_M + 0.06])


def _left(arm: Arm, bar: Bar, holds: bool, other_holds: bool) -> np.ndarray:
    """Compute the action of the giving arm."""
    tool = arm.tcp_position_m
    if other_holds:
        if holds or arm.gripper_width_m < 0.06:
            return _move(arm, tool, GRIPPER_OPEN, bar.yaw_rad)
        return _move(arm, _LEFT_WAITS_M + np.array([0.0, 0.0, 0.04]), GRIPPER_OPEN)
    if holds:
        if (tool - bar.middle_m) @ bar.axis > _GIVEN_M:
            return _move(arm, tool, GRIPPER_OPEN, bar.yaw_rad)
        goal = tool - bar.middle_m + np.array([0.0, 0.0, MEETING_M])
        if tool[2] < 0.7 * MEETING_M:
            # Up before forward: the bar's far end must pass over the chute.
            goal[:2] = tool[:2]
        return _move(arm, goal, GRIPPER_CLOSED)
    grasp_m = bar.at_m(-GRASP_M)
    if grasp_m[0] > arm.setup.workspace_high_m[0]:
        # On the chute it slides into reach, unless the hand is in its way; beyond, it is the other arm's.
        return _move(arm, _LEFT_WAITS_M, GRIPPER_OPEN)
    return _take(arm, bar, grasp_m)


def _right(arm: Arm, bar: Bar, other_holds: bool, holds: bool) -> np.ndarray:
    """Compute the action of the receiving arm."""
    tool = arm.tcp_position_m
    if holds and other_holds:
        return _move(arm, tool, GRIPPER_CLOSED, bar.yaw_rad)
    if holds:
        return _set_down(arm, bar)
    if bar.is_in_right_tray:
        return _move(arm, tool, GRIPPER_OPEN, bar.yaw_rad)
    is_offered = other_holds and bar.at_m(GRASP_M)[0] > 0.04 and bar.middle_m[2] > 0.8 * MEETING_M
    if is_offered or (not other_holds and bar.middle_m[0] > RIDGE_M[0]):
        return _take(arm, bar, bar.at_m(GRASP_M))
    return _move(arm, _RIGHT_WAITS_M, GRIPPER_OPEN)


def _right_goal_m(height_m: float) -> np.ndarray:
    """Return the right tool's position for a bar above its place."""
    return np.array([TRAY_X_M + GRASP_M, 0.0, _LOWEST_M + height_m])


def _set_down(arm: Arm, bar: Bar) -> np.ndarray:
    offset = arm.tcp_position_m - bar.middle_m
    goal = np.array([TRAY_X_M, 0.0, RESTING_M])
    sideways = float(np.linalg.norm((goal - bar.middle_m)[:2]))
    bar_down_m = bar.middle_m[2] - RESTING_M - abs(bar.axis[2]) * LENGTH_M / 2
    is_down = min(bar_down_m, arm.tcp_position_m[2] - _LOWEST_M) < 0.012
    if sideways < 0.04 and is_down:
        return _move(arm, arm.tcp_position_m, GRIPPER_OPEN)
    # Down only as fast as the bar gets over its place, above the ridge and the rim on the way.
    goal[2] += float(np.clip(1.5 * (sideways - 0.03), -0.003, MEETING_M - RESTING_M))
    return _move(arm, goal + offset, GRIPPER_CLOSED)


def _take(arm: Arm, bar: Bar, grasp_m: np.ndarray) -> np.ndarray:
    """Come down over the bar and grasp it.

    A gripper that closed beside the bar opens again.
    """
    tool = arm.tcp_position_m
    off = grasp_m - tool
    sideways = float(np.linalg.norm(off[:2]))
    if arm.gripper_command == GRIPPER_CLOSED:
        still_closing = arm.gripper_width_m > 2 * HALF_M - 0.002 and sideways < 0.03 and abs(off[2]) < 0.02
        return _move(arm, tool, GRIPPER_CLOSED if still_closing else GRIPPER_OPEN, bar.yaw_rad)
    turn = _yaw_rad(arm) - float(np.clip(bar.yaw_rad, -_MAX_YAW_RAD, _MAX_YAW_RAD))
    if sideways < _ALIGNED_M and abs(off[2]) < 0.012 and abs(turn) < _ALIGNED_RAD:
        return _move(arm, tool, GRIPPER_CLOSED, bar.yaw_rad)
    height = float(np.clip(4.0 * (sideways - _ALIGNED_M) + 0.3 * (abs(turn) - _ALIGNED_RAD), 0.0, _HOVER_M))
    goal = grasp_m + np.array([0.0, 0.0, height])
    if tool[2] < grasp_m[2] + 0.8 * height:
        goal[:2] = tool[:2]
    return _move(arm, goal, GRIPPER_OPEN, bar.yaw_rad)


def _move(arm: Arm, goal_m: np.ndarray, gripper: float, yaw_rad: float = 0.0) -> np.ndarray:
    """Move to a point with the fingers across the bar.

    The tool points down. A gripper command that is in force is not repeated.
    """
    goal_wxyz = rotate(np.array(arm.setup.tool_wxyz), np.array([0.0, 0.0, yaw_rad]))
    return towards(arm, goal_m, 0.0 if gripper == arm.gripper_command else gripper, goal_wxyz)


def _yaw_rad(arm: Arm) -> float:
    """Measure the turn of the fingers from lying across x."""
    axis = arm.finger_axis
    return math.atan2(-axis[0], axis[1]) if axis[1] >= 0 else math.atan2(axis[0], -axis[1])


def _nearness(point_m: np.ndarray, goal_m: np.ndarray, far_m: float) -> float:
    """Return 1 at the goal, falling to 0 at `far_m`."""
    return float(np.clip(1.0 - np.linalg.norm(goal_m - point_m) / far_m, 0.0, 1.0))
