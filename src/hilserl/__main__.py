"""The command `hilserl`, which is `python -m hilserl`, as a process of its own."""

from typing import NoReturn

from hilserl.cli.main import main
from hilserl.training.interrupt import leave


def command() -> NoReturn:
    """Runs the command line that the process was started with."""
    leave(main())


if __name__ == "__main__":
    command()
