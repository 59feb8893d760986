"""What policy and person need of an environment, whoever wrote it."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import gymnasium
import mujoco
import numpy as np

from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError


class DrivableEnv(gymnasium.Env[Any, np.ndarray], ABC):
    """An environment whose observations and actions are those of `experience`, and all that a person sees and does."""

    experience: ExperienceSpec
    in_real_time = False
    """Whether a step takes as long as it lasts for everybody, and not only in the simulation."""
    tells_success = True
    """Whether it says what a success is."""
    is_judged_by_return = False
    """Whether its reward is something else than the success, so that a policy is judged by its return as well."""
    return_to_reach: float | None = None
    """The mean return at which it counts as solved, where somebody has said so."""
    ask: Callable[[], object]
    """Of a real arm: has a person set the scene up, and returns when they have."""

    def _declare_spaces(self, low: np.ndarray | float, high: np.ndarray | float) -> None:
        """The spaces of `experience`, whose state lies between two bounds, float32 [n] or one number for all."""
        spec = self.experience
        spaces: dict[str, gymnasium.Space[Any]] = {
            "state": gymnasium.spaces.Box(low, high, (spec.state.size,), np.float32)
        }
        spaces |= {name: gymnasium.spaces.Box(0, 255, shape, np.uint8) for name, shape in spec.images}
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (spec.action.size,), np.float32)

    def _checked(self, action: np.ndarray) -> np.ndarray:
        """An action, float64 [n] in [-1, 1], whatever is beyond cut off. Raises HilserlError where it is none."""
        layout = self.experience.action
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (layout.size,) or not np.isfinite(action).all():
            raise HilserlError(f"An action is {layout.size} finite numbers {layout.names}, got {action}.")
        return np.clip(action, -1.0, 1.0)

    @property
    @abstractmethod
    def scene(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        """What the console draws; without anything in it, `drawing` is shown instead."""

    @abstractmethod
    def watched(self, on_frame: Callable[[], object], frames: int) -> contextlib.AbstractContextManager[None]:
        """Calls `on_frame` at `frames` evenly spread moments of every control step."""

    @abstractmethod
    def images(self) -> dict[str, np.ndarray]:
        """What the policy's cameras see now, each uint8 [image_size, image_size, 3]; none where `obs="state"`."""

    def drawing(self) -> np.ndarray | None:
        """What a person is to see now where there is no `scene`, uint8 [h, w, 3]."""
        return None

    @abstractmethod
    def picture(self, height: int, width: int) -> np.ndarray:
        """What a film shows, uint8 [height, width, 3]."""

    @abstractmethod
    def world_to_action(self, motion: tuple[float, ...]) -> tuple[float, ...]:
        """What of an action makes a motion along the world's axes, no faster than one full step.

        Both are one number for each continuous action.
        """

    @abstractmethod
    def motion_towards(self, goal_m: tuple[float, float, float], arm: str = "") -> tuple[float, ...]:
        """What of an action leads the tool of the arm of this name straight to a point of the world, no faster than one
        full step; the others hold still. Raises HilserlError where no arm has it."""

    @property
    @abstractmethod
    def tcp_positions_m(self) -> dict[str, np.ndarray]:
        """Where the tool of the arm of each name is (world frame), float64 [3]."""

    @property
    @abstractmethod
    def is_supervised(self) -> bool:
        """Whether script, progress, success and harm are known."""

    @abstractmethod
    def expert_action(self) -> np.ndarray:
        """What the task's script would do now, float64 [n] in [-1, 1]."""

    @abstractmethod
    def progress(self) -> float:
        """How far the task has come, 0 to 1."""

    @abstractmethod
    def succeeded(self) -> bool:
        """Whether the task is done now."""

    @abstractmethod
    def harm(self) -> bool:
        """Whether a person would stop the robot now."""


def nobody() -> None:
    """Of a scene that need not be set up."""
