"""The one factory of environments."""

from pathlib import Path

from hilserl import tasks
from hilserl.envs.config import EnvConfig
from hilserl.envs.env import InteractiveEnv
from hilserl.errors import HilserlError
from hilserl.sim.environment import ManipulationEnv


def is_gymnasium_id(name: str) -> bool:
    """True if a name is `PACKAGE:ENV_ID`, an environment of another package."""
    return ":" in name


def canonical_name(name: str) -> str:
    """Return the name under which an environment is kept: `pick-cube` is `pick_cube`.

    Raises:
        HilserlError: No task has this name, or it is only half of `PACKAGE:ENV_ID`.
    """
    if not is_gymnasium_id(name):
        task = tasks.find(name)
        return str(Path(name).resolve()) if tasks.is_task_file(name) else task.name
    package, _, env_id = name.partition(":")
    if not package or not env_id:
        raise HilserlError(
            f"Invalid environment {name!r}: expected PACKAGE:ENV_ID, such as gymnasium:InvertedPendulum-v5."
        )
    return name


def make_env(config: EnvConfig) -> InteractiveEnv:
    """Make the environment of a configuration.

    Raises:
        HilserlError: The task does not exist, or the environment does not have an option.
    """
    # What only some environments need, such as PyAV and the robot's client, is imported when it is needed.
    if is_gymnasium_id(config.task):
        from hilserl.envs.gymnasium_env import GymnasiumEnv

        _check_foreign(config)
        return GymnasiumEnv(config.task, config)
    _check_own(config)
    task = tasks.make_task(config.task, config)
    if config.backend == "sim":
        return ManipulationEnv(task, config)
    if config.randomise:
        raise HilserlError("The scene of a robot cannot be randomised: --randomise needs --env sim.")
    from hilserl.envs.robot_env import RobotEnv

    return RobotEnv(task, config.robot, config)


def _check_own(config: EnvConfig) -> None:
    """Raise HilserlError for settings that only another package's environment has."""
    neutral = {"python": None, "kwargs": {}, "action_repeat": 1, "closes_at": None, "expert": None}
    for option, value in neutral.items():
        if (given := getattr(config, option)) != value:
            raise HilserlError(
                f"{config.task} is a task of hilserl: it has no {option}, got {given!r}. An environment of another "
                "package, PACKAGE:ENV_ID, has one."
            )


def _check_foreign(config: EnvConfig) -> None:
    """Raise HilserlError for settings that only a task has."""
    if config.backend != "sim":
        raise HilserlError(f"{config.task} has no arm behind a robot server; choose --env sim.")
    neutral = {"arm": ("panda",), "scene": ("",), "frame": ("world", None), "crop": ({},), "randomise": (False,)}
    for option, values in neutral.items():
        if (value := getattr(config, option)) not in values:
            raise HilserlError(
                f"{config.task} is an environment of another package: it has no {option}, got {value!r}."
            )
