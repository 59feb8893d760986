"""The base class of environments of a task, with a simulated or a real arm."""

import math
from abc import abstractmethod
from typing import Literal

import numpy as np

from hilserl.data.spec import ExperienceSpec, StateLayout
from hilserl.envs.env import InteractiveEnv
from hilserl.errors import HilserlError
from hilserl.sim.control import action_layout
from hilserl.sim.reference_frame import ArmView, FrameName
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task
from hilserl.sim.teleoperation import ArmTeleoperation

CONTROL_DT_S = 0.1

_STATE_BOUND = 1000.0
"""The state's declared bounds, in nominal ranges: beyond anything physical, yet finite as Gymnasium wants them."""


def steps_of(seconds: float) -> int:
    """The nearest number of control steps. Raises HilserlError where that is none, or no number."""
    if not math.isfinite(seconds) or round(seconds / CONTROL_DT_S) < 1:
        raise HilserlError(f"{seconds} s: expected a number of seconds of at least a control step, {CONTROL_DT_S} s.")
    return round(seconds / CONTROL_DT_S)


class TaskEnv(InteractiveEnv):
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
        self.task = task
        self._max_steps = task.max_episode_steps if max_episode_steps is None else max_episode_steps
        self._ends_on_success = ends_on_success
        self._steps = 0
        self._arms = tuple(ArmView(arm, frame or task.frame) for arm in task.arms)
        entries = tuple(entry for arm in self._arms for entry in arm.entries)
        layout = StateLayout(entries + (task.state if obs == "state" else ()))
        shape = (image_size, image_size, 3)
        images = tuple((name, shape) for name in cameras) if obs == "pixels" else ()
        self.experience = ExperienceSpec(task.name, layout, action_layout(task.arms), images, CONTROL_DT_S)
        self._teleoperation = ArmTeleoperation(self._arms, self.experience.action, self._tcp_positions_m)
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

    @property
    def teleoperation(self) -> ArmTeleoperation:
        """The kinematics of driving the task's arms."""
        return self._teleoperation

    @abstractmethod
    def _tcp_positions_m(self) -> dict[str, np.ndarray]:
        """Measure the tool positions by arm name (world frame), each float64 [3]."""
