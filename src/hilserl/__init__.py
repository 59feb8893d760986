"""Human-in-the-loop reinforcement learning for robot manipulation, in simulation first."""

import os
import sys
from importlib.metadata import version

__version__ = version("hilserl")

# MuJoCo chooses its OpenGL loader when it is first imported; without a display only EGL (or OSMesa) can work.
if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("MUJOCO_GL", "egl")
