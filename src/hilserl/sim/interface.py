"""What the policy and the person see and do of a task, be its arm simulated or real."""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Literal

import gymnasium
import numpy as np

from hilserl.errors import HilserlError
from hilserl.experience import ActionLayout, ExperienceSpec, StateLayout
from hilserl.sim.frames import FrameName, make_frame
from hilserl.sim.simulation import Simulation
from hilserl.sim.task import Task

CONTROL_DT_S = 0.1
MAX_STEP_M = 0.035
"""How far a full action moves the target: the hand crosses the workspace's 0.6 m in under two seconds."""

_STATE_BOUND = 1000.0
"""The state's declared bounds, in nominal ranges: beyond anything physical, yet finite as Gymnasium wants them."""

ACTION = ActionLayout(("tcp_dx", "tcp_dy", "tcp_dz", "gripper"), grippers=(3,))


def steps_of(seconds: float) -> int:
    """The nearest number of control steps. Raises HilserlError where that is none, or no number."""
    if not math.isfinite(seconds) or round(seconds / CONTROL_DT_S) < 1:
        raise HilserlError(f"{seconds} s: expected a number of seconds of at least a control step, {CONTROL_DT_S} s.")
    return round(seconds / CONTROL_DT_S)


def motion_towards(tool_m: np.ndarray, goal_m: np.ndarray) -> np.ndarray:
    """The part of an action that moves the tool straight to a point, no faster than one full step; float64 [3]."""
    motion = (goal_m - tool_m) / MAX_STEP_M
    return motion / max(1.0, np.abs(motion).max())


class TaskEnv(gymnasium.Env[Any, np.ndarray], ABC):
    """One arm, one task. Actions are [dx, dy, dz, gripper] in [-1, 1]; the gripper closes at -1 and opens at +1.

    A step moves the target from the *measured* tool position by the scaled action, keeps it in the workspace, and lasts
    0.1 s. An episode is terminated by success and truncated by the task's time limit.

    `obs="state"` adds the objects' true state to the state vector; `obs="pixels"` shows `cameras` instead, each
    `image_size` pixels high and wide. `frame` says along whose axes the robot is seen and moved (`sim/frames.py`);
    objects stay in the world's. `max_episode_steps` replaces the task's time limit; with
    `ends_on_success=False` only that limit ends an episode.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": round(1 / CONTROL_DT_S)}  # noqa: RUF012 (Gymnasium's own)
    in_real_time = False
    """Whether a step lasts 0.1 s for everybody, and not only in the simulation."""
    ask: Callable[[], object]
    """Of a real arm: has a person set the scene up, and returns when they have."""
    simulation: Simulation
    """What is to be seen; of a real arm it is a drawing, in which nothing moves by itself."""

    def __init__(
        self,
        task: Task,
        obs: Literal["state", "pixels"],
        image_size: int,
        cameras: tuple[str, ...],
        frame: FrameName,
        *,
        max_episode_steps: int | None,
        ends_on_success: bool,
    ) -> None:
        if obs not in ("state", "pixels"):
            raise HilserlError(f"obs={obs!r} does not exist; there is 'state' and 'pixels'.")
        self.task, self.ask = task, _nobody
        self._max_steps = task.max_episode_steps if max_episode_steps is None else max_episode_steps
        self._ends_on_success = ends_on_success
        self._low, self._high = np.array(task.workspace_low_m), np.array(task.workspace_high_m)
        self._steps = 0
        self._frame = make_frame(frame)
        layout = StateLayout(self._frame.entries(task) + (task.state if obs == "state" else ()))
        shape = (image_size, image_size, 3)
        images = tuple((name, shape) for name in cameras) if obs == "pixels" else ()
        self.experience = ExperienceSpec(task.name, layout, ACTION, images, CONTROL_DT_S)
        bound = _STATE_BOUND * layout.scale
        spaces: dict[str, gymnasium.Space[Any]] = {
            "state": gymnasium.spaces.Box(layout.centre - bound, layout.centre + bound, dtype=np.float32)
        }
        spaces |= {name: gymnasium.spaces.Box(0, 255, shape, np.uint8) for name, shape in images}
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION.size,), np.float32)

    def _in_world(self, action: np.ndarray) -> np.ndarray:
        """The action along the world's axes, float64. Raises HilserlError where it is none."""
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (ACTION.size,) or not np.isfinite(action).all():
            raise HilserlError(f"An action is {ACTION.size} finite numbers {ACTION.names}, got {action}.")
        action = np.clip(action, -1.0, 1.0)
        return np.append(self._frame.to_world(action[:3]), action[3])

    def _target_m(self, tool_m: np.ndarray, action: np.ndarray) -> np.ndarray:
        """Where an action leads the tool, in the workspace."""
        return np.clip(tool_m + MAX_STEP_M * action[:3], self._low, self._high)

    def _ends(self, *, success: bool) -> tuple[bool, bool]:
        """Whether the step just done ends the episode: terminated, truncated."""
        self._steps += 1
        terminated = success and self._ends_on_success
        return terminated, not terminated and self._steps >= self._max_steps

    def _begin(self) -> None:
        """An episode does."""
        self._steps = 0
        self._frame.begin()

    def _own(self, action: np.ndarray) -> np.ndarray:
        """An action along the world's axes as one of this environment's."""
        motion = self.seen_by_tool(tuple(np.clip(action[:3], -1.0, 1.0)))
        return np.array([*motion, np.clip(action[3], -1.0, 1.0)])

    def _packed(self, values: dict[str, np.ndarray]) -> np.ndarray:
        """The state vector of what was measured in the world's frame."""
        return self.experience.state.pack(self._frame.observe(values))

    def seen_by_tool(self, motion: tuple[float, ...]) -> tuple[float, ...]:
        """What of an action makes a motion along the world's axes, no faster than one full step."""
        turned = self._frame.from_world(np.array(motion))
        return tuple(turned / max(1.0, np.abs(turned).max()))

    def motion_towards(self, goal_m: tuple[float, float, float]) -> tuple[float, ...]:
        """What of an action leads the tool straight to a point of the world, no faster than one full step."""
        return self.seen_by_tool(tuple(motion_towards(self.tcp_position_m, np.array(goal_m))))

    @abstractmethod
    def watched(self, on_frame: Callable[[], object], frames: int) -> contextlib.AbstractContextManager[None]:
        """Calls `on_frame` at `frames` evenly spread moments of every control step."""

    @abstractmethod
    def images(self) -> dict[str, np.ndarray]:
        """What the policy's cameras see now, each uint8 [image_size, image_size, 3]; none where `obs="state"`."""

    @property
    @abstractmethod
    def tcp_position_m(self) -> np.ndarray:
        """Where the tool is (world frame), float64 [3]."""

    @property
    def is_supervised(self) -> bool:
        """Whether script, progress, success and harm are known."""
        return True

    @abstractmethod
    def expert_action(self) -> np.ndarray:
        """What the task's script would do now, float64 [4] in [-1, 1]."""

    @abstractmethod
    def progress(self) -> float:
        """How far the task has come, 0 to 1."""

    @abstractmethod
    def succeeded(self) -> bool:
        """Whether the task is done now."""

    @abstractmethod
    def harm(self) -> bool:
        """Whether a person would stop the robot now."""


def _nobody() -> None:
    """The scene is as it is."""
