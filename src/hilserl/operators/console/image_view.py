"""Images of the console: policy cameras and scene images."""

import numpy as np
from mujoco.studio import viewer_protocol
from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.operators.console.messages import CameraImages
from hilserl.operators.console.style import PANEL_WIDTH_PX, section, window_flags

_IMAGE_PX = 148.0


class ImageView:
    """The textures of the images that the console shows."""

    def __init__(self) -> None:
        self._pending: CameraImages | None = None
        self._textures: dict[str, int] = {}
        self._scene_texture, self._scene_px = 0, (1, 1)
        """Texture of the scene image (0: none), its height and width."""

    def update(self, images: CameraImages) -> None:
        """Take images; the next drawing uploads them."""
        self._pending = images

    @property
    def replaces_scene(self) -> bool:
        """True if an image stands in place of the 3D scene."""
        return bool(self._scene_texture)

    def draw_cameras(self, viewer: viewer_protocol.Viewer) -> None:
        """Draw the images of the policy's cameras, two in a row."""
        if self._pending is not None:
            images, self._pending = self._pending, None
            for name, image in images.images.items():
                self._textures[name] = _upload(viewer, self._textures.get(name, 0), image)
            if images.scene is not None:
                self._scene_texture = _upload(viewer, self._scene_texture, images.scene)
                height, width, _ = images.scene.shape
                self._scene_px = height, width
        if not self._textures:
            return
        if not section("Policy cameras"):
            return
        for index, (name, texture) in enumerate(self._textures.items()):
            if index % 2:
                imgui.SameLine()
            imgui.BeginGroup()
            imgui.Image(texture, imgui.Vec2(_IMAGE_PX, _IMAGE_PX))
            imgui.Text(name)
            imgui.EndGroup()

    def draw_scene(self) -> None:
        """Draw the scene image as large as possible beside the panel."""
        room, (height, width) = imgui.GetIO().DisplaySize, self._scene_px
        part = min((room.x - PANEL_WIDTH_PX) / width, room.y / height)
        if part <= 0:
            return
        size = imgui.Vec2(part * width, part * height)
        imgui.PushStyleVar(imgui.StyleVar.WindowPadding, imgui.Vec2(0, 0))
        left = PANEL_WIDTH_PX + (room.x - PANEL_WIDTH_PX - size.x) / 2
        imgui.SetNextWindowPos(imgui.Vec2(left, (room.y - size.y) / 2))
        imgui.SetNextWindowSize(size)
        flags = window_flags("NoDecoration", "NoBackground", "NoInputs", "NoSavedSettings", "NoBringToFrontOnFocus")
        imgui.Begin("scene image", None, flags)
        imgui.Image(self._scene_texture, size)
        imgui.End()
        imgui.PopStyleVar()


def _upload(viewer: viewer_protocol.Viewer, texture: int, image: np.ndarray) -> int:
    height, width, channels = image.shape
    return viewer.upload_image(texture, np.ascontiguousarray(image).tobytes(), width, height, channels)
