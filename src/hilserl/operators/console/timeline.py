"""A strip under the scene: where in a recording one is, and who acted when."""

from dataclasses import dataclass

from mujoco.studio import messages, plugin
from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.operators.console.panel import COLOURS, PANEL_WIDTH_PX

_HEIGHT_PX = 104.0
_STRIP_PX = 14.0


@dataclass(frozen=True)
class RecordingPosition(messages.Snapshot):
    """One episode of a recording and the moment that is shown."""

    episode: int
    episodes: int
    step: int
    human: tuple[bool, ...]
    """Whether a person chose the action, step by step."""


@dataclass(frozen=True)
class Seek(messages.Event):
    """The person wants to see another episode, or another step."""

    episode: int
    step: int


class Timeline(plugin.ViewerPlugin):
    """Two sliders and the strip."""

    def __init__(self) -> None:
        self._track: RecordingPosition | None = None

    @messages.handler
    def on_track(self, track: RecordingPosition) -> None:
        self._track = track

    @messages.handler
    def on_gui(self, event: messages.BuildGuiEvent) -> None:
        del event
        track = self._track
        if track is None:
            return
        display = imgui.GetIO().DisplaySize
        width = display.x - PANEL_WIDTH_PX
        imgui.SetNextWindowPos(imgui.Vec2(PANEL_WIDTH_PX, display.y - _HEIGHT_PX))
        imgui.SetNextWindowSize(imgui.Vec2(width, _HEIGHT_PX))
        flags = int(imgui.WindowFlags.NoDecoration) | int(imgui.WindowFlags.NoMove)
        imgui.Begin("timeline", None, flags | int(imgui.WindowFlags.NoSavedSettings))
        imgui.SetNextItemWidth(width - 110.0)
        other, episode = imgui.SliderInt("recording", track.episode + 1, 1, max(1, track.episodes))
        imgui.SetNextItemWidth(width - 110.0)
        moved, step = imgui.SliderInt("step", track.step, 0, len(track.human))
        if other:
            self.viewer.send_to_sim(Seek(episode - 1, 0))
        elif moved:
            self.viewer.send_to_sim(Seek(track.episode, step))
        self._draw_strip(track, width - 110.0)
        imgui.End()

    def _draw_strip(self, track: RecordingPosition, width: float) -> None:
        corner, drawing = imgui.GetCursorScreenPos(), imgui.GetWindowDrawList()
        each = width / max(1, len(track.human))
        colours = {
            human: imgui.ColorConvertFloat4ToU32(COLOURS["human" if human else "policy"]) for human in (True, False)
        }
        start = 0
        for end in range(1, len(track.human) + 1):
            if end < len(track.human) and track.human[end] == track.human[start]:
                continue
            drawing.AddRectFilled(
                imgui.Vec2(corner.x + start * each, corner.y),
                imgui.Vec2(corner.x + end * each, corner.y + _STRIP_PX),
                colours[track.human[start]],
            )
            start = end
        imgui.Dummy(imgui.Vec2(width, _STRIP_PX))
        imgui.SameLine()
        imgui.Text("who acted")
