"""What the person sees beside the scene, and how keys and mouse become messages. Runs in the viewer's thread."""

import time

import mujoco
import numpy as np
from mujoco.studio import (
    messages,
    plugin,
    ux,  # pyright: ignore[reportAttributeAccessIssue] (made by the compiled part)
    viewer_protocol,
)
from mujoco.studio.app import inputs
from mujoco.studio.dear_imgui import dear_imgui as imgui
from mujoco.studio.implot import implot

from hilserl.operators.console.marker import PinHole, dragged, screen_of
from hilserl.operators.console.messages import (
    CameraImages,
    CommandRequest,
    ConsoleStatus,
    DriveState,
    OperatorInput,
    Presence,
)
from hilserl.operators.devices.key_map import COMMAND_KEYS, HELD_KEYS, LABEL_KEY, Command, Key

PANEL_WIDTH_PX = 340.0
_PICTURE_PX = 156.0
_PLOT_PX = 110.0
TWICE_WITHIN_S = 4.0
"""What only counts when asked for twice is forgotten after so long; a page drawn in software answers a second late."""
_REMIND_S = 0.1
"""What is held is said again this often: the loop forgets it when it has not heard of the page for too long."""
_MARKER_PX = 13.0
COLOURS = {
    "policy": imgui.Vec4(0.13, 0.38, 0.72, 1.0),
    "human": imgui.Vec4(0.80, 0.42, 0.05, 1.0),
    "paused": imgui.Vec4(0.40, 0.42, 0.46, 1.0),
}
_GOOD, _BAD = imgui.Vec4(0.16, 0.62, 0.34, 1.0), imgui.Vec4(0.85, 0.30, 0.24, 1.0)
_KEY_COLOUR = imgui.Vec4(0.25, 0.55, 0.92, 1.0)
_MARKER_COLOUR = imgui.Vec4(0.95, 0.55, 0.10, 0.95)
_WHITE = imgui.Vec4(1.0, 1.0, 1.0, 1.0)
_LOOK_AT_M = (0.30, 0.20, 0.10)
_DISTANCE_M, _AZIMUTH_DEG, _ELEVATION_DEG = 1.45, 30.0, -36.0
"""The person looks over the robot's shoulder: W is away from them and A to their left. The point looked at lies left
of the workspace, as the panel covers the left of the picture."""
_BUTTONS = (
    (Command.TAKEOVER, Command.GRIPPER, Command.PAUSE),
    (Command.SWITCH_ARM,),
    (Command.SUCCESS, Command.FAILURE),
    (Command.RESET, Command.DISCARD, Command.END),
)


class Panel(plugin.ViewerPlugin):
    """The panel at the left edge, and the target marker in the scene."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys
        self._watched = tuple(key.name for key in (*HELD_KEYS, LABEL_KEY))
        self._commands = {key.command: key for key in keys if key.command is not None}
        self._status, self._hand = ConsoleStatus(), DriveState((0.0, 0.0, 0.0), driven=False, smooth=False)
        self._pictures: CameraImages | None = None
        self._textures: dict[str, int] = {}
        self._drawing, self._drawing_px = 0, (1, 1)
        """The texture that stands in the place of a scene, 0 where there is none, and its height and width."""
        self._hands, self._told_s = OperatorInput(), 0.0
        self._goal_m: np.ndarray | None = None
        self._led_arm = ""
        """Whose tool the dragged target leads: the arm that was chosen when it was taken hold of."""
        self._asked: dict[Command, float] = {}
        self._ux = ux.UxState()

    @messages.handler
    def on_viewer(self, event: plugin.ViewerInitEvent) -> None:
        del event
        ux.setup_theme(ux.GuiTheme.LIGHT)
        self._stand()

    @messages.handler
    def on_scene(self, event: messages.PostModelEvent) -> None:
        del event
        self._stand()

    def _stand(self) -> None:
        """Takes up the person's point of view."""
        camera = self.viewer.camera
        mujoco.mjv_defaultFreeCamera(self.viewer.model, camera)
        camera.lookat[:] = _LOOK_AT_M
        camera.distance, camera.azimuth, camera.elevation = _DISTANCE_M, _AZIMUTH_DEG, _ELEVATION_DEG

    @messages.handler
    def on_status(self, status: ConsoleStatus) -> None:
        self._status = status

    @messages.handler
    def on_pictures(self, pictures: CameraImages) -> None:
        self._pictures = pictures

    @messages.handler
    def on_hand(self, hand: DriveState) -> None:
        self._hand = hand
        self.viewer.unhurried = not hand.smooth  # pyright: ignore[reportAttributeAccessIssue] (the web viewer's)

    @messages.handler
    def on_frame(self, event: messages.UpdateEvent) -> None:
        """Reads the keyboard. A page that does not answer holds nothing."""
        del event
        if self.viewer.client_camera is None:
            viewer = self.viewer
            inputs.handle_mouse_events(
                viewer.model, viewer.data, viewer.camera, viewer.vis_options, viewer.perturb, self._ux
            )
        present = getattr(self.viewer, "answers", True)
        self.viewer.send_to_sim(Presence(present, time.monotonic()))
        held = frozenset(name for name in self._watched if imgui.IsKeyDown(getattr(imgui.Key, name)))
        goal = None if self._goal_m is None else (self._goal_m[0], self._goal_m[1], self._goal_m[2])
        hands = OperatorInput(held, goal, self._led_arm) if present else OperatorInput()
        now = time.monotonic()
        if hands != self._hands or (hands != OperatorInput() and now - self._told_s > _REMIND_S):
            self._hands, self._told_s = hands, now
            self.viewer.send_to_sim(hands)
        if present:
            for name, key in COMMAND_KEYS.items():
                if imgui.IsKeyPressed(getattr(imgui.Key, name), False) and key.command is not None:
                    self._ask(key.command, twice=key.twice)

    def _ask(self, command: Command, *, twice: bool) -> None:
        if twice and not self._is_asked(command):
            self._asked[command] = time.monotonic()
            return
        self._asked.pop(command, None)
        self.viewer.send_to_sim(CommandRequest(command))

    def _is_asked(self, command: Command) -> bool:
        """Whether a command that only counts when asked for twice has just been asked for once."""
        return time.monotonic() - self._asked.get(command, -TWICE_WITHIN_S) < TWICE_WITHIN_S

    @messages.handler
    def on_gui(self, event: messages.BuildGuiEvent) -> None:
        del event
        flags = int(imgui.WindowFlags.NoMove) | int(imgui.WindowFlags.NoCollapse) | int(imgui.WindowFlags.NoTitleBar)
        flags |= int(imgui.WindowFlags.NoResize) | int(imgui.WindowFlags.NoSavedSettings)
        imgui.SetNextWindowPos(imgui.Vec2(0, 0))
        imgui.SetNextWindowSize(imgui.Vec2(PANEL_WIDTH_PX, imgui.GetIO().DisplaySize.y))
        imgui.Begin("operator", None, flags)
        self._draw_control()
        self._draw_pictures()
        self._draw_facts()
        self._draw_plots()
        self._draw_keys()
        imgui.End()
        if self._drawing:
            self._draw_drawing()
        else:
            self._draw_marker()

    def _draw_control(self) -> None:
        status = self._status
        imgui.PushStyleColor(imgui.Col.Button, COLOURS[status.control])
        imgui.PushStyleColor(imgui.Col.ButtonHovered, COLOURS[status.control])
        imgui.PushStyleColor(imgui.Col.ButtonActive, COLOURS[status.control])
        imgui.PushStyleColor(imgui.Col.Text, _WHITE)
        if imgui.Button(status.title, imgui.Vec2(-1.0, 44.0)) and Command.TAKEOVER in self._commands:
            self._ask(Command.TAKEOVER, twice=False)
        imgui.PopStyleColor(4)
        imgui.TextWrapped(status.headline)
        if status.outcome:
            imgui.TextColored(_GOOD if status.success else _BAD, status.outcome)
        if status.message:
            imgui.TextWrapped(status.message)
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
        label = f"Really {key.button.lower()}?" if key.twice and self._is_asked(command) else key.button
        if imgui.Button(f"{label}##{command.name}", imgui.Vec2(width, 0.0)):
            self._ask(command, twice=key.twice)
        imgui.SetItemTooltip(f"{key.meaning}: {key.label}")

    def _draw_pictures(self) -> None:
        if self._pictures is not None:
            pictures, self._pictures = self._pictures, None
            for name, image in pictures.images.items():
                self._textures[name] = self._upload(self._textures.get(name, 0), image)
            if pictures.drawing is not None:
                self._drawing = self._upload(self._drawing, pictures.drawing)
                self._drawing_px = pictures.drawing.shape[:2]
        if not self._textures:
            return
        imgui.SeparatorText("What the policy sees")
        for index, (name, texture) in enumerate(self._textures.items()):
            if index % 2:
                imgui.SameLine()
            imgui.BeginGroup()
            imgui.Image(texture, imgui.Vec2(_PICTURE_PX, _PICTURE_PX))
            imgui.Text(name)
            imgui.EndGroup()

    def _upload(self, texture: int, image: np.ndarray) -> int:
        height, width, channels = image.shape
        return self.viewer.upload_image(texture, np.ascontiguousarray(image).tobytes(), width, height, channels)

    def _draw_drawing(self) -> None:
        """As large as there is room beside the panel, at its own proportions."""
        room, (height, width) = imgui.GetIO().DisplaySize, self._drawing_px
        part = min((room.x - PANEL_WIDTH_PX) / width, room.y / height)
        if part <= 0:
            return
        size = imgui.Vec2(part * width, part * height)
        flags = int(imgui.WindowFlags.NoDecoration) | int(imgui.WindowFlags.NoBackground)
        flags |= int(imgui.WindowFlags.NoInputs) | int(imgui.WindowFlags.NoSavedSettings)
        flags |= int(imgui.WindowFlags.NoBringToFrontOnFocus)
        imgui.PushStyleVar(imgui.StyleVar.WindowPadding, imgui.Vec2(0, 0))
        left = PANEL_WIDTH_PX + (room.x - PANEL_WIDTH_PX - size.x) / 2
        imgui.SetNextWindowPos(imgui.Vec2(left, (room.y - size.y) / 2))
        imgui.SetNextWindowSize(size)
        imgui.Begin("drawing", None, flags)
        imgui.Image(self._drawing, size)
        imgui.End()
        imgui.PopStyleVar()

    def _draw_facts(self) -> None:
        if self._status.facts and imgui.BeginTable("facts", 2):
            for name, value in self._status.facts:
                imgui.TableNextColumn()
                imgui.Text(name)
                imgui.TableNextColumn()
                imgui.Text(value)
            imgui.EndTable()

    def _draw_plots(self) -> None:
        quiet = int(implot.Flags.NoMenus) | int(implot.Flags.NoBoxSelect) | int(implot.Flags.NoMouseText)
        fit = int(implot.AxisFlags.AutoFit) | int(implot.AxisFlags.NoHighlight)
        for title, curves in self._status.plots:
            if not implot.BeginPlot(title, imgui.Vec2(-1.0, _PLOT_PX), quiet):
                continue
            implot.SetupAxes("", "", fit, fit)
            for curve in curves:
                implot.PlotLine(curve.name, curve.x, curve.y)
            implot.EndPlot()

    def _draw_keys(self) -> None:
        imgui.SeparatorText("Keys")
        if imgui.BeginTable("keys", 2):
            imgui.TableSetupColumn("key", int(imgui.TableColumnFlags.WidthFixed), 84.0)
            imgui.TableSetupColumn("meaning", int(imgui.TableColumnFlags.WidthStretch))
            for key in self._keys:
                imgui.TableNextColumn()
                imgui.TextColored(_KEY_COLOUR, key.label)
                imgui.TableNextColumn()
                imgui.TextUnformatted(key.meaning)
            imgui.EndTable()
        if any(key.moves for key in self._keys) and not self._drawing:
            imgui.TextWrapped(
                "Drag the orange marker to lead the hand; with Shift, up and down. Drag the scene to look around."
            )

    def _draw_marker(self) -> None:
        """The marker follows the hand until it is dragged, and is there only while a person drives."""
        if not self._hand.driven:
            self._goal_m = None
            return
        camera = _camera_of(self.viewer)
        standing = np.asarray(self._hand.tcp_m) if self._goal_m is None else self._goal_m
        where = screen_of(standing, camera)
        if where is None:
            return
        size = imgui.Vec2(2 * _MARKER_PX, 2 * _MARKER_PX)
        flags = int(imgui.WindowFlags.NoDecoration) | int(imgui.WindowFlags.NoBackground)
        flags |= int(imgui.WindowFlags.NoMove) | int(imgui.WindowFlags.NoSavedSettings) | int(imgui.WindowFlags.NoNav)
        flags |= int(imgui.WindowFlags.NoBringToFrontOnFocus) | int(imgui.WindowFlags.NoFocusOnAppearing)
        imgui.PushStyleVar(imgui.StyleVar.WindowPadding, imgui.Vec2(0, 0))
        imgui.SetNextWindowPos(imgui.Vec2(where[0] - _MARKER_PX, where[1] - _MARKER_PX))
        imgui.SetNextWindowSize(size)
        imgui.Begin("marker", None, flags)
        imgui.InvisibleButton("target", size)
        if imgui.IsItemActivated():
            self._led_arm = self._hand.arm
        if imgui.IsItemActive() and self._led_arm == self._hand.arm:
            mouse = imgui.GetMousePos()
            self._goal_m = dragged(standing, (mouse.x, mouse.y), camera, upright=imgui.GetIO().KeyShift)
        else:
            self._goal_m = None
        imgui.GetWindowDrawList().AddCircle(
            imgui.Vec2(*where), _MARKER_PX - 2.0, imgui.ColorConvertFloat4ToU32(_MARKER_COLOUR), 24, 3.0
        )
        imgui.End()
        imgui.PopStyleVar()


def _camera_of(viewer: viewer_protocol.Viewer) -> PinHole:
    size, camera = imgui.GetIO().DisplaySize, viewer.camera
    return PinHole(
        camera.lookat,
        camera.distance,
        camera.azimuth,
        camera.elevation,
        float(viewer.model.vis.global_.fovy),
        (size.x, size.y),
    )
