"""The kinematics of driving a task's arms."""

from collections.abc import Callable

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
        own: list[float] = []
        for arm in self._arms:
            part = motion[len(own) : len(own) + len(arm.setup.axes)]
            own.extend(arm.motion(arm.setup.move_of(part)))
        return tuple(own)

    def motion_towards(self, goal_m: tuple[float, float, float], arm: str = "") -> tuple[float, ...]:
        """Compute an action's continuous part that leads to a point.

        Args:
            goal_m: The point in the world frame.
            arm: The arm's name; the other arms hold still.

        Raises:
            HilserlError: No arm has this name.
        """
        tools = self.tcp_positions_m
        if arm not in tools:
            raise unknown("arm", arm, tools)
        own: list[float] = []
        for view in self._arms:
            led = view.setup.name == arm
            own.extend(view.motion(motion_towards(view.setup, tools[arm], np.array(goal_m)) if led else np.zeros(6)))
        return tuple(own)

    def full_action(self, action: np.ndarray) -> np.ndarray:
        """Convert an action along the world's axes to the arms' frames.

        Both are float64 [n]. The result is in [-1, 1].
        """
        own = np.clip(action, -1.0, 1.0)
        continuous = list(self._layout.continuous)
        own[continuous] = self.world_to_action(tuple(own[continuous]))
        return own


def motion_towards(
    arm: ArmSetup,
    tool_m: np.ndarray,
    goal_m: np.ndarray,
    tool_wxyz: np.ndarray | None = None,
    goal_wxyz: np.ndarray | None = None,
) -> np.ndarray:
    """Compute the move that leads a tool straight to a goal.

    A tool that exerts wrenches is pulled there, the harder the further away it is.

    Args:
        arm: The arm's setup.
        tool_m: The tool's position (world frame), [3].
        goal_m: The goal's position (world frame), [3].
        tool_wxyz: The tool's orientation; without it the move has no turn.
        goal_wxyz: The goal's orientation; without it the move has no turn.

    Returns:
        float64 [6] in [-1, 1] along and about the world's axes; 1 is one full step.
    """
    control, move = arm.control, np.zeros(6)
    posed = isinstance(control, PoseControl)
    motion = (goal_m - tool_m) / (control.max_step_m if posed else MAX_STEP_M)
    move[:3] = motion / max(1.0, np.abs(motion).max())
    if posed and control.max_step_rad and tool_wxyz is not None and goal_wxyz is not None:
        turn = turn_between(tool_wxyz, goal_wxyz) / control.max_step_rad
        move[3:] = turn / max(1.0, np.abs(turn).max())
    return move
