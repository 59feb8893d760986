"""Sizes and colours of the console."""

from mujoco.studio.dear_imgui import dear_imgui as imgui

PANEL_WIDTH_PX = 340.0
CONTROL_COLOURS = {
    "policy": imgui.Vec4(0.13, 0.38, 0.72, 1.0),
    "human": imgui.Vec4(0.80, 0.42, 0.05, 1.0),
    "paused": imgui.Vec4(0.40, 0.42, 0.46, 1.0),
}
"""Colour of each source of control."""
GOOD, BAD = imgui.Vec4(0.16, 0.62, 0.34, 1.0), imgui.Vec4(0.85, 0.30, 0.24, 1.0)
KEY_COLOUR = imgui.Vec4(0.25, 0.55, 0.92, 1.0)
MARKER_COLOUR = imgui.Vec4(0.95, 0.55, 0.10, 0.95)
WHITE = imgui.Vec4(1.0, 1.0, 1.0, 1.0)


TITLE_SCALE = 1.6
"""Size of the large title relative to the other texts."""
FRAME_PX = 6.0
"""Width of the frame around the scene while the operator drives."""


def section(title: str) -> bool:
    """Draw a section's header; return True if it is open."""
    return imgui.CollapsingHeader(title, int(imgui.TreeNodeFlags.DefaultOpen))


def window_flags(*names: str) -> int:
    """Combine Dear ImGui's window flags by name."""
    flags = 0
    for name in names:
        flags |= int(getattr(imgui.WindowFlags, name))
    return flags
