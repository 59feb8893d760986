"""Making of another package's environment, here or in another interpreter."""

import json
from dataclasses import dataclass
from typing import Any, cast

import gymnasium
import numpy as np
from typing_extensions import override

from hilserl.envs.child import host
from hilserl.envs.child.env import ChildEnv
from hilserl.envs.child.packages import find_python, package_of, script_of
from hilserl.envs.gymnasium_expert import ExpertEnv, LocalExpertEnv, expert_of
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError


class RepeatedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose control step is several of its own steps.

    The action is the same in all of them, the rewards add up, and the end of an episode ends the control step. An
    expert is asked once a control step.

    Args:
        env: The environment, with an expert or without.
        times: Its own steps in a control step.
    """

    def __init__(self, env: "gymnasium.Env[Any, Any]", times: int) -> None:
        super().__init__(env)
        self._expert, self._times = cast("ExpertEnv", env), times

    @override
    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = self.env.step(action)
        total = float(reward)
        for _ in range(self._times - 1):
            if terminated or truncated:
                break
            observation, reward, terminated, truncated, info = self.env.step(action)
            total += float(reward)
        return observation, total, terminated, truncated, info

    @property
    def tells_progress(self) -> bool:
        """True if the expert script tells the progress."""
        return self._expert.tells_progress

    def expert_action(self) -> np.ndarray:
        """Ask the expert script for an action, float64 in the environment's units."""
        return self._expert.expert_action()

    def expert_progress(self) -> float:
        """Ask the expert script for the progress, from 0 to 1."""
        return self._expert.expert_progress()


@dataclass(frozen=True)
class EnvSource:
    """All that another package's environment is made of."""

    name: str
    """`PACKAGE:ENV_ID`."""
    python: str | None
    """Another interpreter; None makes the environment in this one."""
    kwargs: str
    """Keyword arguments as JSON."""
    expert: str
    """`FILE.py:FUNCTION`; empty for an environment without an expert."""
    timeout_s: float
    """Longest time of a step in another interpreter."""
    action_repeat: int = 1
    """Steps of the environment in a control step."""

    @classmethod
    def of(cls, name: str, options: EnvOptions) -> "EnvSource":
        """Return the source of an environment with these options."""
        kwargs = json.dumps(options.kwargs, sort_keys=True)
        expert = expert_of(name, options.expert)
        return cls(name, options.python, kwargs, expert, options.timeout_s, options.action_repeat)

    def make(self, max_episode_steps: int | None = None) -> "gymnasium.Env[Any, Any]":
        """Make the environment.

        Args:
            max_episode_steps: Limit instead of its own, in control steps.

        Raises:
            HilserlError: The package or the environment does not exist, or it cannot be made.
        """
        if self.action_repeat == 1:
            return self._make(max_episode_steps)
        limit = None if max_episode_steps is None else max_episode_steps * self.action_repeat
        return RepeatedEnv(self._make(limit), self.action_repeat)

    def _make(self, max_episode_steps: int | None) -> "gymnasium.Env[Any, Any]":
        known = package_of(self.name)
        adapter = script_of(known) if known and known.registers else None
        making: dict[str, Any] = {"kwargs": json.loads(self.kwargs), "max_episode_steps": max_episode_steps}
        making["adapter"] = str(adapter) if adapter else None
        if self.python is not None:
            return ChildEnv(self.name, find_python(self.python), self.timeout_s, {**making, "expert": self.expert})
        try:
            env = host.make(self.name, **making)
            return LocalExpertEnv(env, host.ExpertScript(self.expert)) if self.expert else env
        except Exception as error:
            raise HilserlError(f"{self.name} cannot be made: {host.described(error)}") from error
