"""Packages of environments that need an interpreter with older versions."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from hilserl.errors import HilserlError, unknown

_SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True)
class EnvPackage:
    """A package of environments with what hilserl knows of it."""

    requirements: tuple[str, ...]
    """Versions that were tried together."""
    example: str
    """An environment of it."""
    kwargs: Mapping[str, object] = field(default_factory=dict)
    """Keyword arguments of the example."""
    last_python: tuple[int, int] = (3, 13)
    """Newest Python that its requirements have wheels for."""
    module: str = ""
    """Name that it is imported by; by default the package's with `_`."""
    script: str = ""
    """File with an expert."""
    registers: bool = False
    """True if the file registers the package's environments with Gymnasium."""
    success_key: str | None = None
    """Key of `info` that tells a success, if unusual."""
    closes_at: Mapping[str, float] = field(default_factory=dict)
    """Grippers of an action, each with the value that closes it."""


PACKAGES: dict[str, EnvPackage] = {
    "gym-aloha": EnvPackage(
        ("gym-aloha==0.1.5", "mujoco==3.8.1", "gymnasium==1.4.0"),
        "gym_aloha:gym_aloha/AlohaTransferCube-v0",
        {"obs_type": "pixels_agent_pos"},
    ),
    "gym-hil": EnvPackage(
        ("gym-hil==0.1.14", "mujoco==3.8.1", "gymnasium==1.4.0"),
        "gym_hil:gym_hil/PandaPickCube-v0",
        {"random_block_position": True, "reset_delay_seconds": 0.0},
        script="for_gym_hil.py",
        success_key="succeed",
        closes_at={"action_3": 1.0},
    ),
    "gymnasium-robotics": EnvPackage(
        ("gymnasium-robotics==1.4.2", "mujoco==3.3.7", "gymnasium==1.4.0"), "gymnasium_robotics:FetchReach-v4"
    ),
    "metaworld": EnvPackage(
        ("metaworld==3.1.1", "mujoco==3.3.0", "gymnasium==1.4.0", "packaging>=24"),
        "metaworld:Meta-World/MT1",
        {"env_name": "reach-v3"},
        script="for_metaworld.py",
        closes_at={"action_3": 1.0},
    ),
    "panda-gym": EnvPackage(("panda-gym==3.0.7", "gymnasium==1.4.0"), "panda_gym:PandaReach-v3", last_python=(3, 11)),
    "robosuite": EnvPackage(
        ("robosuite==1.5.2", "mujoco==3.3.7", "gymnasium==1.4.0"),
        "robosuite:Lift",
        script="for_robosuite.py",
        registers=True,
        closes_at={"action_6": 1.0},
    ),
}
"""Known packages by their name in the package index."""


def package_of(task: str) -> EnvPackage | None:
    """Return the known package of `PACKAGE:ENV_ID`, if it is one."""
    module = task.partition(":")[0]
    return next((each for name, each in PACKAGES.items() if (each.module or name.replace("-", "_")) == module), None)


def script_of(package: EnvPackage | None) -> Path | None:
    """Return the file of a package's expert, if there is one."""
    return _SCRIPTS / package.script if package and package.script else None


def venvs_directory() -> Path:
    """Return the directory of installed packages' virtual environments, in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return Path(cache or Path.home() / ".cache") / "hilserl" / "envs"


def python_in(directory: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return directory / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def find_python(given: str) -> Path:
    """Return the interpreter of a file's name, or of an installed package's.

    Raises:
        HilserlError: There is no such file, or the package is not installed.
    """
    if given in PACKAGES:
        python = python_in(venvs_directory() / given)
        if not python.exists():
            raise HilserlError(f"{given} is not installed. Install it: hilserl env install {given}")
        return python
    if not Path(given).exists():
        raise unknown("interpreter, neither a file nor a package,", given, PACKAGES)
    return Path(given)
