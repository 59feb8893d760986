"""The base class of environments of a task."""

import math
from abc import abstractmethod

import numpy as np

from hilserl.data.spec import ExperienceSpec, StateLayout
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from hilserl.sim.control import action_layout
from hilserl.sim.reference_frame import ArmView
from hilserl.sim.task import Task
from hilserl.sim.teleoperation import ArmTeleoperation

CONTROL_DT_S = 0.1
"""Length of a control step."""

_STATE_BOUND = 1000.0
"""Declared bounds of the state in nominal ranges.

They are beyond anything physical, yet finite, as Gymnasium requires.
"""


def steps_of(seconds: float) -> int:
    """Return the nearest number of control steps.

    Raises:
        HilserlError: The time is shorter than a step, or not a finite number.
    """
    if not math.isfinite(seconds) or round(seconds / CONTROL_DT_S) < 1:
        raise HilserlError(f"Invalid time {seconds} s: expected at least a control step, {CONTROL_DT_S} s.")
    return round(seconds / CONTROL_DT_S)


class TaskEnv(InteractiveEnv):
    """An environment of one task's arms, simulated or real.

    An action is numbers in [-1, 1], named in `experience.action`: by default [dx, dy, dz, gripper], and in general what
    `sim/control.py` says. A gripper closes at -1 and opens at +1. A step moves the target from the *measured* tool pose
    by the scaled action, keeps it in the workspace, and lasts 0.1 s. Success terminates an episode and the task's time
    limit truncates it.

    Args:
        task: The task.
        options: Of observation, reward and limits; without cameras or a frame they are the task's own.
        render_mode: "rgb_array" or None.
        render_size: Height and width of what `render` returns, in pixels.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / CONTROL_DT_S)}  # noqa: RUF012 (Gymnasium's own)

    def __init__(self, task: Task, options: EnvOptions, render_mode: str | None, render_size: tuple[int, int]) -> None:
        self.task, self.options, self.render_mode = task, options, render_mode
        self._render_size, self._dense = render_size, options.reward == "dense"
        self._max_steps = task.max_episode_steps if options.max_episode_steps is None else options.max_episode_steps
        self._steps, self.task_description = 0, task.summary
        self._arms = tuple(ArmView(arm, options.frame or task.frame) for arm in task.arms)
        entries = tuple(entry for arm in self._arms for entry in arm.entries)
        layout = StateLayout(entries + (task.state if options.obs == "state" else ()))
        shape = (options.image_size, options.image_size, 3)
        self._camera_names = options.cameras or task.cameras
        images = tuple((name, shape) for name in self._camera_names) if options.obs == "pixels" else ()
        self.experience = ExperienceSpec(task.name, layout, action_layout(task.arms), images, CONTROL_DT_S)
        self._teleoperation = ArmTeleoperation(self._arms, self.experience.action, self._tcp_positions_m)
        bound = _STATE_BOUND * layout.scale
        self._declare_spaces(layout.centre - bound, layout.centre + bound)

    def _moves(self, action: np.ndarray) -> list[tuple[np.ndarray, float]]:
        """Convert an action to each arm's move and gripper action.

        Moves are along and about the world's axes, float64 [6]. Raises HilserlError if the action is not valid.
        """
        return [arm.move(part) for arm, part in self._parts(self._checked(action))]

    def _parts(self, action: np.ndarray) -> list[tuple[ArmView, np.ndarray]]:
        """Split an action into the arms' parts."""
        ends = np.cumsum([arm.size for arm in self._arms])
        return list(zip(self._arms, np.split(action, ends[:-1]), strict=True))

    def _ends(self, *, success: bool) -> tuple[bool, bool]:
        """Count a step; return if it terminates or truncates the episode."""
        self._steps += 1
        terminated = success and self.options.ends_on_success
        return terminated, not terminated and self._steps >= self._max_steps

    def _begin(self) -> None:
        """Begin an episode."""
        self._steps = 0
        for arm in self._arms:
            arm.begin()

    @property
    def teleoperation(self) -> ArmTeleoperation:
        """The kinematics of driving the task's arms."""
        return self._teleoperation

    @abstractmethod
    def _tcp_positions_m(self) -> dict[str, np.ndarray]:
        """Measure the tool positions by arm name (world frame), each float64 [3]."""
