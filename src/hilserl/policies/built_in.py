"""Policies of the built-in tasks that this package contains."""

from pathlib import Path

from hilserl.errors import unknown

_WEIGHTS = Path(__file__).parent / "weights"


def built_in_tasks() -> tuple[str, ...]:
    """Return the tasks with a policy in this package, in alphabetical order."""
    return tuple(sorted(path.parent.name for path in _WEIGHTS.glob("*/policy.json")))


def built_in_policy(task: str) -> Path:
    """Return the directory of a task's exported policy.

    Raises:
        HilserlError: this package has no policy of the task; the message names those that it has.
    """
    if task not in built_in_tasks():
        raise unknown("task with a trained policy", task, built_in_tasks())
    return _WEIGHTS / task
