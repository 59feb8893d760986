"""Timeline of a recording, below the scene."""

from dataclasses import dataclass

from mujoco.studio import messages, plugin
from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.operators.console.style import CONTROL_COLOURS, PANEL_WIDTH_PX, window_flags

_HEIGHT_PX = 104.0
_STRIP_PX = 14.0


@dataclass(frozen=True)
class RecordingPosition(messages.Snapshot):
    """The episode and the step that are shown."""

    episode: int
    """Index of the episode."""
    episodes: int
    """Number of episodes."""
    step: int
    human: tuple[bool, ...]
    """True for each step whose action a human operator chose."""


@dataclass(frozen=True)
class Seek(messages.Event):
    """The operator's request for another episode or step."""

    episode: int
    step: int


class Timeline(plugin.ViewerPlugin):
    """Two sliders and a strip of the source of control by step."""

    def __init__(self) -> None:
        self._position: RecordingPosition | None = None

    @messages.handler
    def on_position(self, position: RecordingPosition) -> None:
        """Take the position in the recording."""
        self._position = position

    @messages.handler
    def on_gui(self, event: messages.BuildGuiEvent) -> None:
        """Draw the timeline."""
        del event
        position = self._position
        if position is None:
            return
        display = imgui.GetIO().DisplaySize
        width = display.x - PANEL_WIDTH_PX
        imgui.SetNextWindowPos(imgui.Vec2(PANEL_WIDTH_PX, display.y - _HEIGHT_PX))
        imgui.SetNextWindowSize(imgui.Vec2(width, _HEIGHT_PX))
        imgui.Begin("timeline", None, window_flags("NoDecoration", "NoMove", "NoSavedSettings"))
        imgui.SetNextItemWidth(width - 110.0)
        episode_changed, episode = imgui.SliderInt("recording", position.episode + 1, 1, max(1, position.episodes))
        imgui.SetNextItemWidth(width - 110.0)
        step_changed, step = imgui.SliderInt("step", position.step, 0, len(position.human))
        if episode_changed:
            self.viewer.send_to_sim(Seek(episode - 1, 0))
        elif step_changed:
            self.viewer.send_to_sim(Seek(position.episode, step))
        self._draw_strip(position, width - 110.0)
        imgui.End()

    def _draw_strip(self, position: RecordingPosition, width: float) -> None:
        corner, drawing = imgui.GetCursorScreenPos(), imgui.GetWindowDrawList()
        each = width / max(1, len(position.human))
        colours = [imgui.ColorConvertFloat4ToU32(CONTROL_COLOURS[source]) for source in ("policy", "human")]
        start = 0
        for end in range(1, len(position.human) + 1):
            if end < len(position.human) and position.human[end] == position.human[start]:
                continue
            drawing.AddRectFilled(
                imgui.Vec2(corner.x + start * each, corner.y),
                imgui.Vec2(corner.x + end * each, corner.y + _STRIP_PX),
                colours[position.human[start]],
            )
            start = end
        imgui.Dummy(imgui.Vec2(width, _STRIP_PX))
        imgui.SameLine()
        imgui.Text("control")
