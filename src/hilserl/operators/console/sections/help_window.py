"""The list of keys beside the panel."""

from collections.abc import Sequence

from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.operators.console.style import KEY_COLOUR, PANEL_WIDTH_PX, window_flags
from hilserl.operators.devices.key_map import Key

_MARGIN_PX, _WIDTH_PX, _KEY_PX = 12.0, 330.0, 92.0
_MOUSE = (
    "Drag the orange marker to lead the tool; with Shift it moves up and down. Drag the scene to look around; "
    "the wheel zooms."
)


class HelpWindow:
    """Help that `?` and a button of the panel open and close."""

    def __init__(self) -> None:
        self.is_open = False
        """True while the help is shown."""

    def toggle(self) -> None:
        """Open or close it."""
        self.is_open = not self.is_open

    def draw(self, keys: Sequence[Key], *, with_marker: bool) -> None:
        """Draw the keys, if the help is open.

        Args:
            keys: the keys to list.
            with_marker: True if the scene has a marker to drag.
        """
        if not self.is_open:
            return
        imgui.SetNextWindowPos(imgui.Vec2(PANEL_WIDTH_PX + _MARGIN_PX, _MARGIN_PX))
        imgui.SetNextWindowSize(imgui.Vec2(_WIDTH_PX, 0.0))
        imgui.Begin("help", None, window_flags("NoMove", "NoCollapse", "NoTitleBar", "NoResize", "NoSavedSettings"))
        if imgui.BeginTable("keys", 2):
            imgui.TableSetupColumn("key", int(imgui.TableColumnFlags.WidthFixed), _KEY_PX)
            imgui.TableSetupColumn("meaning", int(imgui.TableColumnFlags.WidthStretch))
            for label, meaning in (*((key.label, key.meaning) for key in keys), ("?", "show or hide this help")):
                imgui.TableNextColumn()
                imgui.TextColored(KEY_COLOUR, label)
                imgui.TableNextColumn()
                imgui.TextUnformatted(meaning)
            imgui.EndTable()
        if with_marker:
            imgui.TextWrapped(_MOUSE)
        imgui.End()
