"""What can be trained in: this package's tasks, those of its plug-ins, and any Gymnasium environment."""

from typing import Any

from hilserl import tasks
from hilserl.envs.env import InteractiveEnv
from hilserl.errors import HilserlError

_OF_TASKS = {"frame": ("world", None), "crop": ({}, None), "randomise": (False,)}
"""What a foreign environment knows nothing of, and what then means nothing."""


def is_gymnasium_id(name: str) -> bool:
    """Whether a name is `PACKAGE:ENV_ID`, an environment of another package."""
    return ":" in name


def named(name: str) -> str:
    """The name as it is kept. Raises HilserlError for a task that does not exist and for half a foreign name."""
    if not is_gymnasium_id(name):
        return tasks.find(name).name
    package, _, env_id = name.partition(":")
    if not package or not env_id:
        raise HilserlError(f"{name!r} is no environment; expected PACKAGE:ENV_ID, as gymnasium:InvertedPendulum-v5.")
    return name


def make_env(name: str, **options: Any) -> InteractiveEnv:
    """The simulated environment of a task, with the options of `ManipulationEnv`, or of another package.

    Raises HilserlError for options that only a task has.
    """
    if not is_gymnasium_id(name):
        return tasks.make_env(name, **options)
    # Imported here, as it takes libraries that a task has no use for.
    from hilserl.envs.gymnasium_env import GymnasiumEnv

    for option, neutral in _OF_TASKS.items():
        if (value := options.pop(option, neutral[0])) not in neutral:
            raise HilserlError(f"{name} is an environment of another package: it has no {option}, got {value!r}.")
    return GymnasiumEnv(name, **options)
