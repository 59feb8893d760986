"""What the policy and the person see and do of a task, be its arm simulated or real."""

import math
from typing import Literal

import mujoco
import numpy as np

from hilserl.data.spec import ExperienceSpec, StateLayout
from hilserl.envs.env import DrivableEnv, nobody
from hilserl.errors import HilserlError, unknown
from hilserl.sim.control import MAX_STEP_M, ArmSetup, PoseControl, action_layout, turn_between
from hilserl.sim.reference_frame import ArmView, FrameName
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task

CONTROL_DT_S = 0.1

_STATE_BOUND = 1000.0
"""The state's declared bounds, in nominal ranges: beyond anything physical, yet finite as Gymnasium wants them."""


def steps_of(seconds: float) -> int:
    """The nearest number of control steps. Raises HilserlError where that is none, or no number."""
    if not math.isfinite(seconds) or round(seconds / CONTROL_DT_S) < 1:
        raise HilserlError(f"{seconds} s: expected a number of seconds of at least a control step, {CONTROL_DT_S} s.")
    return round(seconds / CONTROL_DT_S)


def motion_towards(
    arm: ArmSetup,
    tool_m: np.ndarray,
    goal_m: np.ndarray,
    tool_wxyz: np.ndarray | None = None,
    goal_wxyz: np.ndarray | None = None,
) -> np.ndarray:
    """The move that leads a tool straight to a point or a pose, no faster than one full step; float64 [6].

    A tool that exerts wrenches is drawn there, the harder the further away it is.
    """
    control, move = arm.control, np.zeros(6)
    posed = isinstance(control, PoseControl)
    motion = (goal_m - tool_m) / (control.max_step_m if posed else MAX_STEP_M)
    move[:3] = motion / max(1.0, np.abs(motion).max())
    if posed and control.max_step_rad and tool_wxyz is not None and goal_wxyz is not None:
        turn = turn_between(tool_wxyz, goal_wxyz) / control.max_step_rad
        move[3:] = turn / max(1.0, np.abs(turn).max())
    return move


class TaskEnv(DrivableEnv):
    """The arms of one task. An action is numbers in [-1, 1], named in `experience.action` (`sim/control.py` says what
    they do: by default [dx, dy, dz, gripper]); a gripper closes at -1 and opens at +1.

    A step moves the target from the *measured* tool pose by the scaled action, keeps it in the workspace, and lasts
    0.1 s. An episode is terminated by success and truncated by the task's time limit.

    `obs="state"` adds the objects' true state to the state vector; `obs="pixels"` shows `cameras` instead, each
    `image_size` pixels high and wide. `frame` says along whose axes the arms are seen and moved (`sim/frames.py`);
    objects stay in the world's. Without `cameras` or `frame` they are the task's own. `max_episode_steps` replaces the
    task's time limit; with `ends_on_success=False` only that limit ends an episode.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / CONTROL_DT_S)}  # noqa: RUF012 (Gymnasium's own)
    simulation: Simulation
    """What is to be seen; of a real arm it is a drawing, in which nothing moves by itself."""

    def __init__(
        self,
        task: Task,
        obs: Literal["state", "pixels"],
        image_size: int,
        cameras: tuple[str, ...],
        frame: FrameName | None,
        *,
        max_episode_steps: int | None,
        ends_on_success: bool,
    ) -> None:
        if obs not in ("state", "pixels"):
            raise HilserlError(f"obs={obs!r} does not exist; there is 'state' and 'pixels'.")
        self.task, self.ask = task, nobody
        self._max_steps = task.max_episode_steps if max_episode_steps is None else max_episode_steps
        self._ends_on_success = ends_on_success
        self._steps = 0
        self._arms = tuple(ArmView(arm, frame or task.frame) for arm in task.arms)
        entries = tuple(entry for arm in self._arms for entry in arm.entries)
        layout = StateLayout(entries + (task.state if obs == "state" else ()))
        shape = (image_size, image_size, 3)
        images = tuple((name, shape) for name in cameras) if obs == "pixels" else ()
        self.experience = ExperienceSpec(task.name, layout, action_layout(task.arms), images, CONTROL_DT_S)
        bound = _STATE_BOUND * layout.scale
        self._declare_spaces(layout.centre - bound, layout.centre + bound)

    def _moves(self, action: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """What an action asks of each arm: a move along and about the world's axes, float64 [6], and of its gripper.

        Raises HilserlError where it is none.
        """
        return [arm.move(part) for arm, part in self._parts(self._checked(action))]

    def _parts(self, action: np.ndarray) -> list[tuple[ArmView, np.ndarray]]:
        """Each arm with its part of an action."""
        ends = np.cumsum([arm.size for arm in self._arms])
        return list(zip(self._arms, np.split(action, ends[:-1]), strict=True))

    def _ends(self, *, success: bool) -> tuple[bool, bool]:
        """Whether the step just done ends the episode: terminated, truncated."""
        self._steps += 1
        terminated = success and self._ends_on_success
        return terminated, not terminated and self._steps >= self._max_steps

    def _begin(self) -> None:
        """An episode does."""
        self._steps = 0
        for arm in self._arms:
            arm.begin()

    def _own(self, action: np.ndarray) -> np.ndarray:
        """An action along the world's axes as one of this environment's."""
        own = np.clip(action, -1.0, 1.0)
        continuous = list(self.experience.action.continuous)
        own[continuous] = self.world_to_action(tuple(own[continuous]))
        return own

    def world_to_action(self, motion: tuple[float, ...]) -> tuple[float, ...]:
        own: list[float] = []
        for arm in self._arms:
            part = motion[len(own) : len(own) + len(arm.setup.axes)]
            own.extend(arm.motion(arm.setup.move_of(part)))
        return tuple(own)

    def motion_towards(self, goal_m: tuple[float, float, float], arm: str = "") -> tuple[float, ...]:
        tools = self.tcp_positions_m
        if arm not in tools:
            raise unknown("arm", arm, tools)
        own: list[float] = []
        for view in self._arms:
            led = view.setup.name == arm
            own.extend(view.motion(motion_towards(view.setup, tools[arm], np.array(goal_m)) if led else np.zeros(6)))
        return tuple(own)

    @property
    def tcp_position_m(self) -> np.ndarray:
        """Where the first arm's tool is (world frame), float64 [3]."""
        return self.tcp_positions_m[self.task.arms[0].name]

    @property
    def scene(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        return self.simulation.model, self.simulation.data

    @property
    def is_supervised(self) -> bool:
        return True
