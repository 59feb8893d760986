"""The target marker in the 3D scene."""

import numpy as np
from mujoco.studio import viewer_protocol
from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.operators.console.marker import FreeCamera, drag, project
from hilserl.operators.console.messages import DriveState
from hilserl.operators.console.style import MARKER_COLOUR, window_flags

_MARKER_PX = 13.0


class MarkerWidget:
    """A marker at the tool that the operator drags to lead it."""

    def __init__(self) -> None:
        self._goal_m: np.ndarray | None = None
        self.arm = ""
        """Name of the arm that was chosen when the drag began."""

    @property
    def goal_m(self) -> tuple[float, float, float] | None:
        """Position of the marker while it is dragged, in metres (world frame)."""
        return None if self._goal_m is None else (self._goal_m[0], self._goal_m[1], self._goal_m[2])

    def draw(self, viewer: viewer_protocol.Viewer, state: DriveState) -> None:
        """Draw the marker while the operator drives.

        The marker follows the tool until it is dragged.
        """
        if not state.driven:
            self._goal_m = None
            return
        camera = _camera_of(viewer)
        position_m = np.asarray(state.tcp_m) if self._goal_m is None else self._goal_m
        pixel = project(position_m, camera)
        if pixel is None:
            return
        size = imgui.Vec2(2 * _MARKER_PX, 2 * _MARKER_PX)
        flags = window_flags(
            "NoDecoration",
            "NoBackground",
            "NoMove",
            "NoSavedSettings",
            "NoNav",
            "NoBringToFrontOnFocus",
            "NoFocusOnAppearing",
        )
        imgui.PushStyleVar(imgui.StyleVar.WindowPadding, imgui.Vec2(0, 0))
        imgui.SetNextWindowPos(imgui.Vec2(pixel[0] - _MARKER_PX, pixel[1] - _MARKER_PX))
        imgui.SetNextWindowSize(size)
        imgui.Begin("marker", None, flags)
        imgui.InvisibleButton("target", size)
        if imgui.IsItemActivated():
            self.arm = state.arm
        if imgui.IsItemActive() and self.arm == state.arm:
            mouse = imgui.GetMousePos()
            self._goal_m = drag(position_m, (mouse.x, mouse.y), camera, upright=imgui.GetIO().KeyShift)
        else:
            self._goal_m = None
        imgui.GetWindowDrawList().AddCircle(
            imgui.Vec2(*pixel), _MARKER_PX - 2.0, imgui.ColorConvertFloat4ToU32(MARKER_COLOUR), 24, 3.0
        )
        imgui.End()
        imgui.PopStyleVar()


def _camera_of(viewer: viewer_protocol.Viewer) -> FreeCamera:
    size, camera = imgui.GetIO().DisplaySize, viewer.camera
    return FreeCamera(
        camera.lookat,
        camera.distance,
        camera.azimuth,
        camera.elevation,
        float(viewer.model.vis.global_.fovy),
        (size.x, size.y),
    )
