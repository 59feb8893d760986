"""The kinematics of driving a task's arms."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from hilserl.data.spec import ActionLayout
from hilserl.errors import unknown
from hilserl.sim.control import MAX_STEP_M, ArmSetup, PoseControl
from hilserl.sim.quaternions import turn_between
from hilserl.sim.reference_frame import ArmView


class ArmTeleoperation:
    """Teleoperation of arms whose actions are told in a reference frame.

    Args:
        arms: The arms, in the order of the action.
        layout: The action's layout.
        tcp_positions_m: Returns the measured tool positions by arm name (world frame), each float64 [3].
    """

    def __init__(
        self, arms: tuple[ArmView, ...], layout: ActionLayout, tcp_positions_m: Callable[[], dict[str, np.ndarray]]
    ) -> None:
        self._arms, self._layout, self._tcp_positions_m = arms, layout, tcp_positions_m

    @property
    def tcp_positions_m(self) -> dict[str, np.ndarray]:
        """Measured tool positions by arm name (world frame), each float64 [3]."""
        return self._tcp_positions_m()

    def world_to_action(self, motion: tuple[float, ...]) -> tuple[float, ...]:
        """Convert a motion in the world to an action's continuous part.

        The result is at most one full step.
        """
        return tuple(number for arm, move in self._moves(motion) for number in arm.motion(move))

    def _moves(self, motion: Sequence[float] | np.ndarray) -> Iterator[tuple[ArmView, np.ndarray]]:
        """Yield each arm and its part of a motion of all arms."""
        done = 0
        for arm in self._arms:
            size = len(arm.setup.axes)
            yield arm, arm.setup.move_of(np.asarray(motion[done : done + size]))
            done += size

    def motion_towards(self, goal_m: tuple[float, float, float], arm: str = "") -> tuple[float, ...]:
        """Compute an action's continuous part that leads to a point.

        Args:
            goal_m: The point in the world frame.
            arm: The arm's name; the other arms hold still.

        Raises:
            HilserlError: No arm has this name.
        """
        if arm not in (tools := self.tcp_positions_m):
            raise unknown("arm", arm, tools)
        own: list[float] = []
        for view in self._arms:
            led = view.setup.name == arm
            way = way_towards(view.setup, tools[arm], np.array(goal_m)) if led else np.zeros(6)
            own.extend(view.motion(at_most_one_step(view.setup, way)))
        return tuple(own)

    def full_action(self, action: np.ndarray) -> np.ndarray:
        """Convert a way along the world's axes to an action.

        Both are float64 [n]. The way may be longer than one step; the result is in [-1, 1], in the arms' frames.
        """
        continuous, own = list(self._layout.continuous), np.clip(action, -1.0, 1.0)
        steps = ((arm, at_most_one_step(arm.setup, move)) for arm, move in self._moves(action[continuous]))
        own[continuous] = [number for arm, step in steps for number in arm.motion(step)]
        return own


def at_most_one_step(arm: ArmSetup, way: np.ndarray) -> np.ndarray:
    """Shorten a way to one full step, in its own direction.

    Args:
        arm: The arm's setup.
        way: float64 [6] along and about the world's axes, in full steps.

    Returns:
        float64 [6] in [-1, 1]. Wrenches are limited number by number.
    """
    if not isinstance(arm.control, PoseControl):
        return np.clip(way, -1.0, 1.0)
    parts = way.reshape(2, 3)
    return (parts / np.maximum(1.0, np.abs(parts).max(1, keepdims=True))).ravel()


def way_towards(
    arm: ArmSetup,
    tool_m: np.ndarray,
    goal_m: np.ndarray,
    tool_wxyz: np.ndarray | None = None,
    goal_wxyz: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the straight way of a tool to a goal, however long.

    A tool that exerts wrenches is pulled there, the harder the further away it is.

    Args:
        arm: The arm's setup.
        tool_m: The tool's position (world frame), [3].
        goal_m: The goal's position (world frame), [3].
        tool_wxyz: The tool's orientation; without it the way has no turn.
        goal_wxyz: The goal's orientation; without it the way has no turn.

    Returns:
        float64 [6] along and about the world's axes; 1 is one full step.
    """
    control, way = arm.control, np.zeros(6)
    posed = isinstance(control, PoseControl)
    way[:3] = (goal_m - tool_m) / (control.max_step_m if posed else MAX_STEP_M)
    if posed and control.max_step_rad and tool_wxyz is not None and goal_wxyz is not None:
        way[3:] = turn_between(tool_wxyz, goal_wxyz) / control.max_step_rad
    return way
