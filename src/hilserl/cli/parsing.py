"""Parsing of command lines, with help that fits what they choose."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

import tyro

from hilserl.cli.help import show_help, wants_help
from hilserl.errors import HilserlError
from hilserl.lerobot.process import take_flags
from hilserl.settings import check_settings

_T = TypeVar("_T")

TaskName = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
"""First argument of every command that works on a task."""


class UsageError(HilserlError):
    """Command line without its first argument. The message says what to type."""


def parse(
    verb: str, form: type[_T], words: Sequence[str], default: _T | None = None, alternatives: Sequence[_T] = ()
) -> _T:
    """Parse and check the arguments of a command, or print its help.

    Args:
        verb: The command.
        form: The dataclass of its arguments.
        words: Its command line.
        default: The arguments' defaults, where they do not follow from `form`.
        alternatives: Other defaults, one for each task; help says which settings differ between them.
    """
    words = _with_teleoperator(words)
    if wants_help(words):
        show_help(verb, form, words, default, alternatives)
    _check_repeated(form, words)
    options: dict[str, Any] = {} if default is None else {"default": default}
    arguments = tyro.cli(form, args=words, prog=f"hilserl {verb}", **options)
    check_settings(arguments, as_flags=True)
    return arguments


def _with_teleoperator(words: Sequence[str]) -> list[str]:
    """Turn LeRobot's own flags --teleop.X into a setting of the console."""
    others, flags = take_flags("teleop", words)
    return [*others, "--console.lerobot.words", *flags] if flags else others


def _check_repeated(form: type[Any], words: Sequence[str]) -> None:
    """Raise HilserlError for a flag that is given twice.

    The last one would win in silence.
    """
    hints = get_type_hints(form, include_extras=True)
    appended = {f"--{name}" for name, hint in hints.items() if tyro.conf.UseAppendAction in get_args(hint)[1:]}
    flags = [word.partition("=")[0].replace("_", "-").replace("--no-", "--") for word in words if word[:2] == "--"]
    for flag in flags:
        if flags.count(flag) > 1 and flag not in appended:
            raise HilserlError(f"{flag} is given {flags.count(flag)} times; give it once, with all its values.")


def require_task(verb: str, words: Sequence[str]) -> list[str]:
    """Check that a command line begins with a task.

    Returns:
        The command line with the canonical name of the task, or as it is if it asks for help.

    Raises:
        UsageError: The command line names no task.
        HilserlError: The task does not exist.
    """
    # Tasks take a simulator's import, which commands without a task need not wait for.
    from hilserl import tasks
    from hilserl.envs.make import canonical_name

    if words and not words[0].startswith("-"):
        return [canonical_name(words[0]), *words[1:]]
    if wants_help(words):
        return list(words)
    raise UsageError(
        f"usage: hilserl {verb} TASK [OPTIONS]\n\n"
        f"Name a task first, for example: hilserl {verb} pick_cube{_EXAMPLES.get(verb, '')}\n"
        f"Tasks: {', '.join(tasks.names())},\n"
        "and PACKAGE:ENV_ID, a Gymnasium environment of another package, such as gymnasium:InvertedPendulum-v5.\n"
        f"`hilserl {verb} --help` explains the options."
    )


_EXAMPLES = {"train": " --obs state", "record": " --out demos", "label": " --out labels"}
