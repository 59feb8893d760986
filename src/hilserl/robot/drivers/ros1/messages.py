"""Where rospy comes from, and the message types that Debian does not package."""

import importlib
import importlib.util
import sys
from importlib import resources
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from hilserl.errors import HilserlError

DEBIAN = Path("/usr/lib/python3/dist-packages")
_DEBIAN_PYTHON = Path("/usr/bin/python3")
PACKAGES = (
    "python3-rospy",
    "python3-genpy",
    "python3-geometry-msgs",
    "python3-sensor-msgs",
    "python3-actionlib-msgs",
    "python3-dynamic-reconfigure",
)
"""Of Debian 12 and Ubuntu's universe: what the backend imports."""
_DEFINITIONS = resources.files("hilserl.robot") / "ros_definitions"


def import_rospy() -> Any:
    """rospy, from where this Python finds it or from Debian's packages, with all message types in place.

    Debian's folder goes to the end of the path, so that it hides nothing, and only where its compiled modules fit. ROS
    has no types, so everything of it is Any. Raises HilserlError saying what to install.
    """
    if importlib.util.find_spec("rospy") is None:
        _add_debian()
    try:
        rospy = importlib.import_module("rospy")
        _generate_messages()
    except ImportError as error:
        raise HilserlError(
            f"ROS is incomplete: {error}. On Debian: sudo apt-get install {' '.join(PACKAGES)}; for another ROS, "
            f"`pip install` the missing module."
        ) from error
    return rospy


def _add_debian() -> None:
    running = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not (DEBIAN / "rospy").is_dir():
        raise HilserlError(
            f"rospy is neither on this Python's path nor in {DEBIAN}. On Debian: sudo apt-get install "
            f"{' '.join(PACKAGES)}; with another ROS, source its setup.bash before."
        )
    if (fits := _DEBIAN_PYTHON.resolve().name) != running:
        raise HilserlError(f"rospy in {DEBIAN} is for {fits}, this is {running}; make the environment with {fits}.")
    sys.path.append(str(DEBIAN))


def message(name: str, part: Literal["msg", "srv"] = "msg") -> Any:
    """The class of a message or service named as `franka_msgs/FrankaState`; `import_rospy` comes first."""
    package, _, kind = name.partition("/")
    return getattr(importlib.import_module(f"{package}.{part}"), kind)


def _generate_messages() -> None:
    """Makes modules of our definitions, except of packages that are installed, whose own are right by definition.

    genpy turns definitions into Python's text; nothing is written to disk.
    """
    ours = [package for package in _DEFINITIONS.iterdir() if not importlib.util.find_spec(package.name)]
    loader = importlib.import_module("genmsg.msg_loader")
    generator = importlib.import_module("genpy.generator")
    context = loader.MsgContext.create_default()
    for name in ("std_msgs/Header", "actionlib_msgs/GoalID"):
        loader.load_msg_from_string(context, message(name)._full_text, name)
    for package in ours:
        modules = {part: _empty_module(f"{package.name}.{part}") for part in ("msg", "srv")}
        vars(_empty_module(package.name)).update(modules)
        files = sorted(package.iterdir(), key=lambda file: file.name)
        specs = []
        for file in files:
            kind, _, part = file.name.rpartition(".")
            load = loader.load_msg_from_string if part == "msg" else loader.load_srv_from_string
            specs.append((part, load(context, file.read_text(), f"{package.name}/{kind}")))
        for part, spec in specs:
            generate = generator.msg_generator if part == "msg" else generator.srv_generator
            exec("\n".join(generate(context, spec, {})), vars(modules[part]))  # noqa: S102 (of our own definitions)


def _empty_module(name: str) -> ModuleType:
    sys.modules[name] = importlib.util.module_from_spec(ModuleSpec(name, None, is_package=True))
    return sys.modules[name]
