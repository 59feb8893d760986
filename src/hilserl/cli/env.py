"""Install packages of environments that need older versions, or list them."""

import json
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from hilserl.cli.parsing import parse
from hilserl.cli.tables import print_table
from hilserl.envs.child.packages import PACKAGES, python_in, venvs_directory
from hilserl.errors import HilserlError


@dataclass(frozen=True)
class EnvArguments:
    """List known packages of environments, or install one.

    `hilserl env install NAME` makes a virtual environment with the versions that were tried, in the user's cache
    directory. `--env.python NAME` then runs its environments there.
    """

    action: Annotated[Literal["list", "install"], tyro.conf.Positional] = "list"
    """List the packages, or install one."""
    name: Annotated[str | None, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = None
    """Package to install."""
    python: str | None = None
    """Interpreter to install with: a file or a command. By default the one that runs this."""
    directory: Path | None = None
    """Directory of the virtual environment, instead of the one in the cache."""


def run(words: Sequence[str]) -> int:
    """List the packages, or install one."""
    arguments = parse("env", EnvArguments, words)
    if arguments.action == "list":
        if arguments.name is not None:
            raise HilserlError(f"`hilserl env list` takes no name, got {arguments.name!r}; did you mean install?")
        return _list()
    if arguments.name is None:
        raise HilserlError(f"Name a package: hilserl env install NAME. Available: {', '.join(PACKAGES)}.")
    from hilserl.envs.child.install import install

    given = shutil.which(arguments.python) if arguments.python else None
    if arguments.python and given is None:
        raise HilserlError(f"Invalid --python {arguments.python!r}: there is no such interpreter.")
    directory = (arguments.directory or venvs_directory() / arguments.name).absolute()
    python = install(arguments.name, directory, Path(given) if given else None)
    package = PACKAGES[arguments.name]
    kwargs = f" --env.kwargs {shlex.quote(json.dumps(dict(package.kwargs)))}" if package.kwargs else ""
    chosen = python if arguments.directory else arguments.name
    print(f"Installed: {python}\nTry: hilserl play {package.example} --env.python {chosen}{kwargs}")
    return 0


def _list() -> int:
    rows = []
    for name, package in PACKAGES.items():
        there = "yes" if python_in(venvs_directory() / name).exists() else "no"
        expert = "yes" if package.script else "no"
        python = ".".join(map(str, package.last_python))
        rows.append((name, there, f"to {python}", expert, package.example))
    print_table(("package", "installed", "Python", "expert", "example"), rows)
    print(f"Installed in: {venvs_directory()}\nInstall one: hilserl env install NAME")
    return 0
