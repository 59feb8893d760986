"""The panel beside the scene, in the viewer's thread."""

import time
from dataclasses import replace

import mujoco
import numpy as np
from mujoco.studio import (
    messages,
    plugin,
    ux,  # pyright: ignore[reportAttributeAccessIssue] (made by the compiled part)
)
from mujoco.studio.app import inputs
from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.operators.console.image_view import ImageView
from hilserl.operators.console.keyboard import Keyboard
from hilserl.operators.console.marker_widget import MarkerWidget
from hilserl.operators.console.messages import CameraImages, ConsoleStatus, DriveState, Presence
from hilserl.operators.console.page_keys import PageKeys
from hilserl.operators.console.sections.facts import draw_facts, draw_plots
from hilserl.operators.console.sections.help_window import HelpWindow
from hilserl.operators.console.style import (
    BAD,
    CONTROL_COLOURS,
    FRAME_PX,
    GOOD,
    PANEL_WIDTH_PX,
    TITLE_SCALE,
    WHITE,
    window_flags,
)
from hilserl.operators.devices.key_map import Command, Key, labelled, takeover_hint
from hilserl.operators.devices.key_names import label_of

_TITLE_PX, _HELP_PX = 64.0, 40.0
DISTANCE_M, AZIMUTH_DEG, ELEVATION_DEG = 1.5, 45.0, -45.0
"""Position of the initial view relative to `look_at_m`.

The operator looks over the robot's shoulder: W moves away from them and A to their left.
"""
_LEFT_OF_CENTRE_M, _HEIGHT_M = (-0.15, 0.20), 0.14
_ADVICE = "Take over: the policy comes no nearer."
_BUTTONS = (
    (Command.TAKEOVER, Command.GRIPPER, Command.PAUSE),
    (Command.SWITCH_ARM,),
    (Command.SUCCESS, Command.FAILURE),
    (Command.RESET, Command.DISCARD, Command.END),
)


def look_at_m(centre_m: np.ndarray) -> np.ndarray:
    """Return the initial view's target point.

    It is float64 [3] in the world frame, and lies left of the workspace's centre, as the panel covers the left of the
    scene.
    """
    return np.array([*(centre_m[:2] + _LEFT_OF_CENTRE_M), _HEIGHT_M])


class Panel(plugin.ViewerPlugin):
    """The panel at the left edge and the target marker.

    Args:
        keys: the keys to list.
        keyboard: the operator's keys.
        centre_m: centre of the arms' workspaces, float64 [3] (world frame).
    """

    def __init__(self, keys: tuple[Key, ...], keyboard: Keyboard, centre_m: np.ndarray) -> None:
        self._look_at_m, self._printed = look_at_m(centre_m), dict[str, str]()
        self._set_keys(keys)
        self._status, self._drive = ConsoleStatus(), DriveState((0.0, 0.0, 0.0), driven=False, smooth=False)
        self._keyboard, self._marker, self._images = keyboard, MarkerWidget(), ImageView()
        self._help = HelpWindow()
        self._ux = ux.UxState()

    @messages.handler
    def on_viewer(self, event: plugin.ViewerInitEvent) -> None:
        """Set theme and view when the viewer starts."""
        del event
        # The page's own bar is dark, and it asks for this theme unless the operator chose another there.
        ux.setup_theme(ux.GuiTheme.DARK)
        self._set_view()

    @messages.handler
    def on_model(self, event: messages.PostModelEvent) -> None:
        """Set the initial view when the model changes."""
        del event
        self._set_view()

    def _set_keys(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys
        self._commands = {key.command: key for key in reversed(keys) if key.command is not None}
        self._hint = "\n".join(takeover_hint(keys).rsplit(", ", 1)) if Command.TAKEOVER in self._commands else ""

    def _label_keys(self) -> None:
        """Label the keys as the operator's board is printed."""
        page: PageKeys | None = getattr(self.viewer, "page_keys", None)
        if page is not None and page.printed != self._printed:
            self._printed = page.printed
            names = {key.name: label_of(key.name, self._printed.get(key.name, "")) for key in self._keys}
            self._set_keys(tuple(replace(key, label=labelled(key, names[key.name])) for key in self._keys))

    def _set_view(self) -> None:
        camera = self.viewer.camera
        mujoco.mjv_defaultFreeCamera(self.viewer.model, camera)
        camera.lookat[:] = self._look_at_m
        camera.distance, camera.azimuth, camera.elevation = DISTANCE_M, AZIMUTH_DEG, ELEVATION_DEG

    @messages.handler
    def on_status(self, status: ConsoleStatus) -> None:
        """Take texts and numbers, and sound the tone of advice."""
        before, self._status = self._status, status
        if status.advises_takeover and not before.advises_takeover:
            getattr(self.viewer, "beep", lambda: None)()

    @messages.handler
    def on_images(self, images: CameraImages) -> None:
        """Take camera images."""
        self._images.update(images)

    @messages.handler
    def on_drive_state(self, state: DriveState) -> None:
        """Take the state of driving."""
        self._drive = state
        self.viewer.low_rate = not state.smooth  # pyright: ignore[reportAttributeAccessIssue] (the web viewer's)

    @messages.handler
    def on_tick(self, event: messages.UpdateEvent) -> None:
        """Send the operator's input to the control loop."""
        del event
        viewer = self.viewer
        if viewer.client_camera is None:
            inputs.handle_mouse_events(
                viewer.model, viewer.data, viewer.camera, viewer.vis_options, viewer.perturb, self._ux
            )
        present = getattr(viewer, "answers", True)
        viewer.send_to_sim(Presence(present, time.monotonic()))
        self._keyboard.send_input(viewer, self._marker.goal_m, self._marker.arm, present=present)

    @messages.handler
    def on_gui(self, event: messages.BuildGuiEvent) -> None:
        """Draw the panel and the marker."""
        del event
        self._label_keys()
        imgui.SetNextWindowPos(imgui.Vec2(0, 0))
        imgui.SetNextWindowSize(imgui.Vec2(PANEL_WIDTH_PX, imgui.GetIO().DisplaySize.y))
        flags = window_flags("NoMove", "NoCollapse", "NoTitleBar", "NoResize", "NoSavedSettings")
        imgui.Begin("operator", None, flags)
        self._draw_control()
        self._images.draw_cameras(self.viewer)
        draw_plots(self._status)
        draw_facts(self._status)
        imgui.End()
        if self._keyboard.take_help():
            self._help.toggle()
        self._help.draw(self._keys, with_marker=self._has_marker)
        if self._status.control == "human":
            _draw_frame(CONTROL_COLOURS["human"])
        elif self._status.advises_takeover:
            _draw_frame(BAD)
        if self._images.replaces_scene:
            self._images.draw_scene()
        else:
            self._marker.draw(self.viewer, self._drive)

    @property
    def _has_marker(self) -> bool:
        return any(key.moves for key in self._keys) and not self._images.replaces_scene

    def _draw_control(self) -> None:
        status = self._status
        for part in (imgui.Col.Button, imgui.Col.ButtonHovered, imgui.Col.ButtonActive):
            imgui.PushStyleColor(part, CONTROL_COLOURS[status.control])
        imgui.PushStyleColor(imgui.Col.Text, WHITE)
        imgui.SetWindowFontScale(TITLE_SCALE)
        width = imgui.GetContentRegionAvail().x - _HELP_PX - 8.0
        if imgui.Button(status.title, imgui.Vec2(width, _TITLE_PX)) and Command.TAKEOVER in self._commands:
            self._keyboard.request(self.viewer, Command.TAKEOVER, twice=False)
        imgui.PopStyleColor(4)
        imgui.SameLine()
        if imgui.Button("?", imgui.Vec2(_HELP_PX, _TITLE_PX)):
            self._help.toggle()
        imgui.SetWindowFontScale(1.0)
        imgui.SetItemTooltip("All keys: ?")
        imgui.TextWrapped(status.headline)
        if status.outcome:
            imgui.TextColored(GOOD if status.success else BAD, status.outcome)
        if message := status.message or (self._hint if status.control == "policy" else ""):
            imgui.TextWrapped(message)
        if status.advises_takeover:
            imgui.TextColored(BAD, _ADVICE)
        for line in status.advice:
            imgui.TextWrapped(line)
        for row in _BUTTONS:
            shown = [command for command in row if command in self._commands]
            width = (PANEL_WIDTH_PX - 24.0 - 8.0 * (len(shown) - 1)) / max(1, len(shown))
            for index, command in enumerate(shown):
                if index:
                    imgui.SameLine()
                self._draw_button(command, width)

    def _draw_button(self, command: Command, width: float) -> None:
        key = self._commands[command]
        confirm = key.twice and self._keyboard.is_requested(command)
        label = f"Really {key.button.lower()}?" if confirm else key.button
        if imgui.Button(f"{label}##{command.name}", imgui.Vec2(width, 0.0)):
            self._keyboard.request(self.viewer, command, twice=key.twice)
        imgui.SetItemTooltip(f"{key.meaning}: {key.label}")


def _draw_frame(colour: imgui.Vec4) -> None:
    """Draw a frame around the scene."""
    room, half = imgui.GetIO().DisplaySize, FRAME_PX / 2
    corners = imgui.Vec2(PANEL_WIDTH_PX + half, half), imgui.Vec2(room.x - half, room.y - half)
    imgui.GetBackgroundDrawList().AddRect(*corners, imgui.ColorConvertFloat4ToU32(colour), thickness=FRAME_PX)
