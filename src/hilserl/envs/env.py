"""The base class of environments and the roles beside it.

As in dm_control, where Task, Physics and Environment are apart, an environment here keeps four concerns apart: the
Gymnasium environment itself, the scene as people see it (`SceneView`), the kinematics of driving it by hand
(`Teleoperation`) and the knowledge of its task (`Supervision`). An environment that lacks a role says so with None.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import gymnasium
import mujoco
import numpy as np

from hilserl.data.spec import ExperienceSpec
from hilserl.errors import HilserlError


class SceneView(ABC):
    """The scene of an environment as people see it."""

    @property
    def model_and_data(self) -> tuple[mujoco.MjModel, mujoco.MjData] | None:
        """MuJoCo's model for people, always the same, and its state.

        None without a model.
        """
        return None

    @property
    def centre_m(self) -> np.ndarray:
        """Centre of the workspace (world frame), float64 [3]."""
        return np.zeros(3)

    @abstractmethod
    def image(self, height: int, width: int) -> np.ndarray:
        """Render the scene for a video.

        Returns:
            uint8 [height, width, 3].

        Raises:
            HilserlError: The environment draws nothing.
        """

    def console_image(self) -> np.ndarray | None:
        """Render an image for the console without a model.

        Returns:
            uint8 [h, w, 3], or None.
        """
        return None

    @abstractmethod
    def watched(self, on_frame: Callable[[], object], frames: int) -> contextlib.AbstractContextManager[None]:
        """Call `on_frame` at `frames` evenly spaced moments of every control step."""


class Teleoperation(Protocol):
    """The kinematics between motions in the world and an environment's actions.

    A motion and the continuous part of an action have the same size; one full step is the most in either direction.
    """

    @property
    def tcp_positions_m(self) -> dict[str, np.ndarray]:
        """Tool positions by arm name (world frame), each float64 [3]."""
        ...

    def world_to_action(self, motion: tuple[float, ...]) -> tuple[float, ...]:
        """Convert a motion in the world to an action's continuous part.

        The result is at most one full step.
        """
        ...

    def motion_towards(self, goal_m: tuple[float, float, float], arm: str = "") -> tuple[float, ...]:
        """Compute an action's continuous part that leads to a point.

        Args:
            goal_m: The point in the world frame.
            arm: The arm's name; the other arms hold still.

        Returns:
            At most one full step.

        Raises:
            HilserlError: No arm has this name.
        """
        ...


class Supervision(Protocol):
    """The knowledge of a task that a simulated operator acts on."""

    def expert_action(self) -> np.ndarray:
        """Compute the task script's action, float64 [n] in [-1, 1]."""
        ...

    def expert_way(self) -> np.ndarray:
        """Compute the way that the script has before it.

        Returns:
            float64 [n] along the world's axes, in full steps and however long; wrenches and grippers as in the action.
        """
        ...

    def to_action(self, way: np.ndarray) -> np.ndarray:
        """Convert a way along the world's axes to an action.

        Both are float64 [n]. The action is at most one full step.
        """
        ...

    def progress(self) -> float:
        """Estimate how far the task has come, from 0 to 1."""
        ...

    def succeeded(self) -> bool:
        """True if the task is done now."""
        ...

    def harm(self) -> bool:
        """True if an operator would stop the robot now."""
        ...


class SceneSetup:
    """A pause of `reset` in which a human sets the scene up.

    Args:
        wait: Returns when the scene is ready.
    """

    def __init__(self, wait: Callable[[], object]) -> None:
        self._wait = wait

    def wait(self) -> None:
        """Wait until the scene is ready."""
        self._wait()

    @contextlib.contextmanager
    def answered_by(self, wait: Callable[[], object]) -> Iterator[None]:
        """Let another function, such as the console's, wait for the human."""
        before, self._wait = self._wait, wait
        try:
            yield
        finally:
            self._wait = before


def success_info(success: bool) -> dict[str, Any]:
    """Make the `info` of a step, the success under both usual names."""
    return {"success": success, "is_success": success}


class InteractiveEnv(gymnasium.Env[Any, np.ndarray], ABC):
    """A Gymnasium environment that policies learn in and operators drive.

    Observations and actions are those of `experience`. Every step's `info` is `success_info`.
    """

    experience: ExperienceSpec
    """Layout of observations and actions."""
    task_description: str = ""
    """The task in words, for policies that follow language."""
    in_real_time: bool = False
    """True if a step always lasts as long as its control time."""
    tells_success: bool = True
    """True if `info["success"]` means something."""
    is_judged_by_return: bool = False
    """True if evaluations count the return beside the success."""
    return_to_reach: float | None = None
    """Mean return of a solved environment; None if it declares none."""

    @property
    @abstractmethod
    def scene(self) -> SceneView:
        """The scene as people see it."""

    @property
    def teleoperation(self) -> Teleoperation | None:
        """The kinematics of driving by hand; None without known arms."""
        return None

    @property
    def supervision(self) -> Supervision | None:
        """The knowledge of the task; None if the environment has none."""
        return None

    @property
    def scene_setup(self) -> SceneSetup | None:
        """The pause for a human to set the scene up, if any."""
        return None

    @abstractmethod
    def images(self) -> dict[str, np.ndarray]:
        """Render the policy's cameras now; none for `obs="state"`.

        Returns:
            Images by camera, each uint8 [image_size, image_size, 3].
        """

    def _declare_spaces(self, low: np.ndarray | float, high: np.ndarray | float) -> None:
        """Set the spaces of `experience`.

        The bounds of the state are float32 [n], or one number for all.
        """
        spec = self.experience
        spaces: dict[str, gymnasium.Space[Any]] = {
            "state": gymnasium.spaces.Box(low, high, (spec.state.size,), np.float32)
        }
        spaces |= {name: gymnasium.spaces.Box(0, 255, shape, np.uint8) for name, shape in spec.images}
        self.observation_space = gymnasium.spaces.Dict(spaces)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (spec.action.size,), np.float32)

    def _checked(self, action: np.ndarray) -> np.ndarray:
        """Clip an action to [-1, 1], float64 [n].

        Raises HilserlError for any other shape, and for NaN or infinity.
        """
        layout = self.experience.action
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (layout.size,) or not np.isfinite(action).all():
            raise HilserlError(f"Invalid action {action}: expected {layout.size} finite numbers {layout.names}.")
        return np.clip(action, -1.0, 1.0)


def require_supervision(env: InteractiveEnv) -> Supervision:
    """Return the environment's supervision.

    Raises:
        HilserlError: The environment has none, so that only a human or a policy can drive it.
    """
    if env.supervision is None:
        raise HilserlError(f"{env.experience.task} has no script: choose a human operator, or --operator none.")
    return env.supervision
