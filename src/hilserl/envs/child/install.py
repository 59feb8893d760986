"""Installation of a known package into a virtual environment for it alone."""

import subprocess
import sys
from pathlib import Path

from hilserl.envs.child.packages import PACKAGES, python_in
from hilserl.envs.gymnasium_source import EnvSource
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError, unknown
from hilserl.files import new_directory

_TIMEOUT_S = 120.0


def install(name: str, directory: Path, python: Path | None = None) -> Path:
    """Make a virtual environment with a package's tried versions.

    What pip says goes to standard output. A failure leaves nothing behind, and an installation that is there is
    replaced once the new one is whole.

    Args:
        name: The package's name in `PACKAGES`.
        directory: The virtual environment's directory.
        python: The interpreter that it is made with; by default this one.

    Returns:
        Its interpreter.

    Raises:
        HilserlError: The package is unknown, the interpreter is too new or missing, or pip failed.
    """
    if name not in PACKAGES:
        raise unknown("package", name, PACKAGES)
    python = python or Path(sys.executable)
    _check_version(name, python)
    with new_directory(directory, replace=True) as part:
        _run([str(python), "-m", "venv", "--clear", str(part)], f"Cannot make a virtual environment with {python}")
        pip = [str(python_in(part)), "-m", "pip", "install", "--disable-pip-version-check"]
        _run([*pip, *PACKAGES[name].requirements], f"pip cannot install {name}")
        _try_example(name, python_in(part))
    return python_in(directory)


def _check_version(name: str, python: Path) -> None:
    """Raise HilserlError for an interpreter that the package has no wheels for."""
    command = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S)  # noqa: S603 - the user's
    except (OSError, subprocess.SubprocessError) as error:
        raise HilserlError(f"Invalid --python {python}: it cannot be started: {error}.") from error
    major, minor = map(int, done.stdout.split())
    last = PACKAGES[name].last_python
    if (major, minor) > last:
        raise HilserlError(
            f"{name} has no wheels for Python {major}.{minor}; the newest that it has wheels for is "
            f"{last[0]}.{last[1]}. Name one: hilserl env install {name} --python python{last[0]}.{last[1]}"
        )


def _run(command: list[str], failure: str) -> None:
    """Run a command of ours. Raises HilserlError if it fails."""
    status = subprocess.run(command, check=False).returncode  # noqa: S603 - our words
    if status:
        raise HilserlError(f"{failure}: status {status}. Its own words are above.")


def _try_example(name: str, python: Path) -> None:
    """Make the package's example and reset it."""
    package = PACKAGES[name]
    options = EnvOptions(python=str(python), kwargs=dict(package.kwargs), timeout_s=_TIMEOUT_S)
    env = EnvSource.of(package.example, options).make()
    try:
        env.reset(seed=0)
    finally:
        env.close()
