"""An environment that observes and acts as LeRobot's policies do."""

from typing import Any, Literal

import gymnasium
import numpy as np

from hilserl import tasks
from hilserl.envs.config import EnvConfig
from hilserl.envs.env import InteractiveEnv
from hilserl.envs.make import make_env

Gripper = Literal["signed", "classes"]
"""Gripper actions: -1 closes and +1 opens, or LeRobot's classes 0 close, 1 stay, 2 open."""
_PREFIX = "lerobot_env_hilserl/"


def task_names() -> dict[str, str]:
    """Return the task of each name here, as in `PickCube-v0`."""
    return {tasks.gymnasium_id(name).partition("/")[2]: name for name in tasks.names()}


def register_environments() -> None:
    """Register every task with Gymnasium."""
    for env_id, name in task_names().items():
        if _PREFIX + env_id not in gymnasium.registry:
            gymnasium.register(
                _PREFIX + env_id,
                entry_point="lerobot_env_hilserl.environment:LeRobotEnv",
                kwargs={"name": name},
                max_episode_steps=tasks.find(name).max_episode_steps,
            )


class LeRobotEnv(gymnasium.Env[dict[str, Any], np.ndarray]):
    """A task with LeRobot's names of observations.

    Args:
        name: The task.
        obs: With the objects' state, or with camera images.
        image_size: Side of the images in pixels.
        gripper: Form of the gripper's actions.
        render_mode: "rgb_array" or None.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012 (Gymnasium's own)

    def __init__(
        self,
        name: str,
        obs: Literal["state", "pixels"] = "pixels",
        image_size: int = 128,
        gripper: Gripper = "signed",
        render_mode: str | None = "rgb_array",
    ) -> None:
        self._env: InteractiveEnv = make_env(EnvConfig(task=name, obs=obs, image_size=image_size))
        self.render_mode, self._gripper = render_mode, gripper
        self.task, self.task_description = name, self._env.task_description
        experience = self._env.experience
        self.observation_space = gymnasium.spaces.Dict(
            {"agent_pos": gymnasium.spaces.Box(-np.inf, np.inf, (experience.state.size,), np.float32)}
        )
        if experience.images:
            cameras = {name: gymnasium.spaces.Box(0, 255, shape, np.uint8) for name, shape in experience.images}
            self.observation_space.spaces["pixels"] = gymnasium.spaces.Dict(cameras)
        low, high = -np.ones(experience.action.size, np.float32), np.ones(experience.action.size, np.float32)
        self._grippers = list(experience.action.grippers)
        if gripper == "classes":
            low[self._grippers], high[self._grippers] = 0, 2
        self.action_space = gymnasium.spaces.Box(low, high, dtype=np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Begin an episode; LeRobot's own options have no meaning here."""
        del options
        observation, info = self._env.reset(seed=seed)
        return self._observed(observation), info

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """Execute an action; numbers beyond their limits are clipped."""
        executed = np.clip(action, self.action_space.low, self.action_space.high).astype(np.float32)
        if self._gripper == "classes":
            executed[self._grippers] = np.round(executed[self._grippers]) - 1
        observation, reward, terminated, truncated, info = self._env.step(executed)
        return self._observed(observation), float(reward), terminated, truncated, info

    def _observed(self, observation: dict[str, np.ndarray]) -> dict[str, Any]:
        images = {name: image for name, image in observation.items() if name != "state"}
        found: dict[str, Any] = {"agent_pos": observation["state"].astype(np.float32)}
        return {**found, "pixels": images} if images else found

    def render(self) -> np.ndarray:
        """Draw the scene for a video, uint8 [480, 640, 3]."""
        return self._env.scene.image(480, 640)

    def close(self) -> None:
        """Release the simulation."""
        self._env.close()
