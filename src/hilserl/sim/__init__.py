"""The simulated robot, its scene and cameras, and the Gymnasium environment around them."""

import os
import sys

# MuJoCo chooses its OpenGL loader when it is first imported; without a display only EGL (or OSMesa) can work.
if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
    os.environ.setdefault("MUJOCO_GL", "egl")
