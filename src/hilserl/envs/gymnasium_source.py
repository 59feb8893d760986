"""Making of another package's environment, here or in another interpreter."""

import json
from dataclasses import dataclass
from typing import Any

import gymnasium

from hilserl.envs.child import host
from hilserl.envs.child.env import ChildEnv
from hilserl.envs.child.packages import find_python, package_of, script_of
from hilserl.envs.gymnasium_expert import LocalExpertEnv, expert_of
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError


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

    @classmethod
    def of(cls, name: str, options: EnvOptions) -> "EnvSource":
        """Return the source of an environment with these options."""
        kwargs = json.dumps(options.kwargs, sort_keys=True)
        return cls(name, options.python, kwargs, expert_of(name, options.expert), options.timeout_s)

    def make(self, max_episode_steps: int | None = None) -> "gymnasium.Env[Any, Any]":
        """Make the environment.

        Args:
            max_episode_steps: Limit instead of its own.

        Raises:
            HilserlError: The package or the environment does not exist, or it cannot be made.
        """
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
