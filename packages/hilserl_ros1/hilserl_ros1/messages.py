"""Import of rospy, with the message types that Debian does not package."""

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
"""Directory of Debian's Python packages."""
DEBIAN_PYTHON = Path("/usr/bin/python3")
"""Interpreter of Debian's Python packages."""
PACKAGES = (
    "python3-rospy",
    "python3-genpy",
    "python3-geometry-msgs",
    "python3-sensor-msgs",
    "python3-actionlib-msgs",
    "python3-dynamic-reconfigure",
)
"""Packages of Debian 12 and Ubuntu's universe that the driver imports."""
_DEFINITIONS = resources.files("hilserl_ros1") / "definitions"


def import_rospy(debian: Path = DEBIAN, debian_python: Path = DEBIAN_PYTHON) -> Any:
    """Import rospy and provide all message types.

    rospy comes from this Python's path or else from Debian's packages. Debian's directory goes to the end of the path,
    so that it hides nothing, and only if its compiled modules fit this Python. ROS has no types, so all of it is Any.

    Args:
        debian: directory of Debian's Python packages.
        debian_python: interpreter of Debian's Python packages.

    Raises:
        HilserlError: rospy or a message package is missing.
    """
    if importlib.util.find_spec("rospy") is None:
        _add_debian(debian, debian_python)
    try:
        rospy = importlib.import_module("rospy")
        _generate_messages()
    except ImportError as error:
        raise HilserlError(
            f"ROS is incomplete: {error}. On Debian: sudo apt-get install {' '.join(PACKAGES)}. For another ROS, "
            f"`pip install` the missing module."
        ) from error
    return rospy


def _add_debian(debian: Path, debian_python: Path) -> None:
    running = f"python{sys.version_info.major}.{sys.version_info.minor}"
    if not (debian / "rospy").is_dir():
        raise HilserlError(
            f"rospy is neither on this Python's path nor in {debian}. On Debian: sudo apt-get install "
            f"{' '.join(PACKAGES)}. For another ROS, source its setup.bash before."
        )
    if (expected := debian_python.resolve().name) != running:
        raise HilserlError(
            f"rospy in {debian} is for {expected}, but this is {running}; make the virtual environment with {expected}."
        )
    sys.path.append(str(debian))


def message_class(name: str, part: Literal["msg", "srv"] = "msg") -> Any:
    """Return the class of a message or service; call `import_rospy` before.

    Args:
        name: package and type, as `franka_msgs/FrankaState`.
        part: "srv" for a service.
    """
    package, _, kind = name.partition("/")
    return getattr(importlib.import_module(f"{package}.{part}"), kind)


def _generate_messages() -> None:
    """Make modules from our definitions, except for packages that are installed.

    genpy turns definitions into Python code; nothing is written to disk.
    """
    ours = [package for package in _DEFINITIONS.iterdir() if not importlib.util.find_spec(package.name)]
    loader = importlib.import_module("genmsg.msg_loader")
    generator = importlib.import_module("genpy.generator")
    context = loader.MsgContext.create_default()
    for name in ("std_msgs/Header", "actionlib_msgs/GoalID"):
        loader.load_msg_from_string(context, message_class(name)._full_text, name)
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
