"""Environments that a policy acts in."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hilserl.envs.config import EnvConfig
    from hilserl.envs.env import InteractiveEnv
    from hilserl.envs.make import make_env

__all__ = ["EnvConfig", "InteractiveEnv", "make_env"]


def __getattr__(name: str) -> Any:
    """Import an exported name when it is first used.

    The simulation itself imports `hilserl.envs.env`, so nothing else may be imported with the package.
    """
    if name == "make_env":
        from hilserl.envs.make import make_env

        return make_env
    if name == "EnvConfig":
        from hilserl.envs.config import EnvConfig

        return EnvConfig
    if name == "InteractiveEnv":
        from hilserl.envs.env import InteractiveEnv

        return InteractiveEnv
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
