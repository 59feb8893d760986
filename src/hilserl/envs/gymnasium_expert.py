"""Experts of other packages' environments, and what a simulated operator asks them."""

from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
from typing_extensions import override

from hilserl.envs.child import host
from hilserl.envs.child.packages import package_of, script_of
from hilserl.envs.gymnasium_spaces import ActionMap, Leaf, row_of
from hilserl.errors import HilserlError

_EPISODES, _STEPS, _SEED = 5, 200, 1_000
"""Episodes of the expert that measure ranges."""


class ExpertEnv(Protocol):
    """An environment with an expert script, here or in another interpreter."""

    tells_progress: bool
    """True if the script tells the progress."""

    def expert_action(self) -> np.ndarray:
        """Ask the expert script for an action, float64 in the environment's units."""
        ...

    def expert_progress(self) -> float:
        """Ask the expert script for the progress, from 0 to 1."""
        ...


class LocalExpertEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment in this interpreter with its expert script."""

    def __init__(self, env: "gymnasium.Env[Any, Any]", script: host.ExpertScript) -> None:
        super().__init__(env)
        self._script, self._seen = script, None
        self.tells_progress: bool = script.tells_progress

    @override
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        self._seen, info = self.env.reset(seed=seed, options=options)
        return self._seen, info

    @override
    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        self._seen, reward, terminated, truncated, info = self.env.step(action)
        return self._seen, reward, terminated, truncated, info

    def expert_action(self) -> np.ndarray:
        """Ask the expert script for an action, float64 in the environment's units."""
        return self._told(self._script.action)

    def expert_progress(self) -> float:
        """Ask the expert script for the progress, from 0 to 1."""
        return self._told(self._script.progress)

    def _told(self, ask: Any) -> Any:
        try:
            return ask(self.env, self._seen)
        except Exception as error:
            raise HilserlError(f"The expert failed: {host.described(error)}") from error


def expert_of(name: str, given: str | None) -> str:
    """Return the expert of an environment as `FILE.py:FUNCTION`, or an empty text.

    Args:
        name: `PACKAGE:ENV_ID`.
        given: The file and function that were chosen; None is the one of a known package, if there is one.

    Raises:
        HilserlError: There is no such file.
    """
    if given is None:
        script = script_of(package_of(name))
        return f"{script}:expert" if script else ""
    path, _, function = given.rpartition(":")
    if given and not (function and Path(path).is_file()):
        raise HilserlError(f"Invalid --expert {given!r}: expected FILE.py:FUNCTION, a function in an existing file.")
    return given


class ScriptedSupervision:
    """An expert script's knowledge of another package's environment.

    Without a progress of the script, the progress is the environment's reward between the least and the greatest that
    the expert gets in a few episodes.

    Args:
        env: The environment with its expert.
        actions: Conversion of its actions.
        reward_range: The least and the greatest reward of the expert.
    """

    def __init__(self, env: ExpertEnv, actions: ActionMap, reward_range: tuple[float, float]) -> None:
        self._env, self._actions, self._reward_range = env, actions, reward_range
        self._way: np.ndarray | None = None
        self._progress: float | None = None
        self._reward: float | None = None
        self._success = False

    def see(self, reward: float | None, *, success: bool) -> None:
        """Take note of a step, or of a reset without reward."""
        self._way = self._progress = None
        self._reward, self._success = reward, success

    def expert_way(self) -> np.ndarray:
        """Compute the expert's way, float64 [n] in full steps."""
        if self._way is None:
            self._way = self._actions.way(self._env.expert_action())
        return self._way.copy()

    def expert_action(self) -> np.ndarray:
        """Compute the expert's action, float64 [n] in [-1, 1]."""
        return self.to_action(self.expert_way())

    def to_action(self, way: np.ndarray) -> np.ndarray:
        """Limit a way to one full step, float64 [n]."""
        return np.clip(way, -1.0, 1.0)

    def progress(self) -> float:
        """Estimate how far the task has come, from 0 to 1."""
        if self._progress is None:
            self._progress = self._env.expert_progress() if self._env.tells_progress else self._rewarded()
        return self._progress

    def _rewarded(self) -> float:
        """Place the last reward in the expert's range."""
        if self._success:
            return 1.0
        low, high = self._reward_range
        return 0.0 if self._reward is None or high <= low else float(np.clip((self._reward - low) / (high - low), 0, 1))

    def succeeded(self) -> bool:
        """True if the last step was a success."""
        return self._success

    def harm(self) -> bool:
        """Return False: a script knows of no harm."""
        return False


def demonstrate(env: Any, numbers: tuple[Leaf, ...]) -> tuple[list[np.ndarray], tuple[float, float]]:
    """Let the expert act in a few short episodes.

    The seeds are always the same, so that every process finds the same ranges.

    Args:
        env: An environment with an expert (`ExpertEnv`).
        numbers: The numbers of its observation.

    Returns:
        Rows of the numbers (`row_of`), and the least and the greatest reward.
    """
    rows, rewards = [], []
    for episode in range(_EPISODES):
        env.reset(seed=_SEED + episode)
        for _ in range(_STEPS):
            space = env.action_space
            action = np.clip(env.expert_action(), space.low, space.high).astype(space.dtype)
            observation, reward, terminated, truncated, _ = env.step(action)
            rows.append(row_of(observation, numbers))
            rewards.append(float(reward))
            if terminated or truncated:
                break
    return rows, (min(rewards), max(rewards))
