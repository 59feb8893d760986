"""What the verbs' command lines share."""

from collections.abc import Sequence

from hilserl import tasks
from hilserl.errors import HilserlError


def split_task(verb: str, words: Sequence[str]) -> tuple[str, list[str]]:
    """The task that a command line begins with, checked, and the rest of the line; help asks about any task."""
    if words and words[0] in ("-h", "--help"):
        return tasks.names()[0], ["--help"]
    if not words or words[0].startswith("-"):
        raise HilserlError(
            f"hilserl {verb} needs a task first: hilserl {verb} TASK. There is: {', '.join(tasks.names())}."
        )
    return tasks.find(words[0]).name, list(words[1:])
