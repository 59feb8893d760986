"""Choice of MuJoCo's OpenGL loader before MuJoCo is imported.

MuJoCo loads OpenGL when it is imported, and fails there if the library is missing, even for a program that draws
nothing.
"""

import ctypes
import os
import sys

_LIBRARIES = {"egl": ("libEGL.so.1", "libEGL.so"), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6", "libOSMesa.so")}
_PACKAGES = {"egl": "libegl1", "osmesa": "libosmesa6"}
_KNOWN = ("egl", "osmesa", "glfw", "glx")
_OFF = ("disable", "disabled", "off", "false", "0")
_ON = ("enable", "enabled", "on", "true", "1", "")

wanted = ""
"""Loader that the environment asked for."""
trouble = ""
"""Reason why this process cannot draw; empty if none is known."""


def choose() -> None:
    """Set MUJOCO_GL to a loader that this machine has.

    Without a display that is EGL. A loader that cannot be loaded is switched off, and `trouble` tells why. If MuJoCo
    was imported before, it has chosen already.
    """
    global trouble, wanted
    if sys.platform != "linux":
        return
    has_display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if not has_display and "MUJOCO_GL" not in os.environ:
        os.environ["MUJOCO_GL"] = "egl"
        if "mujoco" in sys.modules:
            trouble = "MuJoCo was imported before hilserl and chose another loader: import hilserl first."
            return
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted not in (*_KNOWN, *_OFF, *_ON):
        trouble = f"Invalid MUJOCO_GL={wanted!r}: expected one of {', '.join(_KNOWN)}."
    elif wanted in _LIBRARIES and not any(map(_loads, _LIBRARIES[wanted])):
        trouble = (
            f"MUJOCO_GL={wanted} needs a library that is not installed ({_LIBRARIES[wanted][0]}). On Debian and "
            f"Ubuntu: apt install {_PACKAGES[wanted]}."
        )
    if trouble:
        os.environ["MUJOCO_GL"] = "disable"


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
