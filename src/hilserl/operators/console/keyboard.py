"""Keys of the console, read in the viewer's thread."""

import time
from collections.abc import Sequence

from mujoco.studio import viewer_protocol
from mujoco.studio.dear_imgui import dear_imgui as imgui

from hilserl.operators.console.messages import CommandRequest, OperatorInput
from hilserl.operators.console.page_keys import HELP, KeyReading, PageKeys
from hilserl.operators.devices.key_map import Command, Key

CONFIRM_WITHIN_S = 4.0
"""Time for the second press of a command, in seconds.

A page that is drawn in software answers a second late.
"""
_REPEAT_S = 0.1
"""Time between two messages about held keys, in seconds.

The control loop drops held keys if it hears nothing from the page for too long.
"""


class Keyboard:
    """The operator's keys as messages to the control loop.

    Args:
        keys: keys of all actions.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self._held_names = tuple(key.name for key in keys if key.command is None)
        self._commands = {key.name: key for key in keys if key.command is not None}
        self._sent, self._sent_s = OperatorInput(), 0.0
        self._requested_s: dict[Command, float] = {}
        self._help_presses = 0

    def send_input(
        self, viewer: viewer_protocol.Viewer, goal_m: tuple[float, float, float] | None, goal_arm: str, *, present: bool
    ) -> None:
        """Send held keys, dragged goal and pressed commands.

        Args:
            viewer: the viewer whose messages reach the control loop.
            goal_m: position of the dragged marker, in metres (world frame).
            goal_arm: name of the arm that the marker leads.
            present: False if the page does not answer; nothing counts as held then.
        """
        keys = self._read(viewer)
        held = keys.held.intersection(self._held_names)
        event = OperatorInput(held, goal_m, goal_arm) if present else OperatorInput()
        now = time.monotonic()
        if event != self._sent or (event != OperatorInput() and now - self._sent_s > _REPEAT_S):
            self._sent, self._sent_s = event, now
            viewer.send_to_sim(event)
        self._help_presses += keys.pressed.count(HELP)
        for name in keys.pressed:
            if key := self._commands.get(name):
                assert key.command is not None
                self.request(viewer, key.command, twice=key.twice)

    def take_help(self) -> bool:
        """Return True if help was asked for an odd number of times."""
        presses, self._help_presses = self._help_presses, 0
        return presses % 2 == 1

    def _read(self, viewer: viewer_protocol.Viewer) -> KeyReading:
        """Return the keys of the page, or those of the window."""
        page: PageKeys | None = getattr(viewer, "page_keys", None)
        if page is not None:
            return page.take()
        names = (*self._held_names, *self._commands)
        held = frozenset(name for name in names if imgui.IsKeyDown(window_key(name)))
        pressed = [name for name in names if imgui.IsKeyPressed(window_key(name), False)]
        if imgui.GetIO().KeyShift and imgui.IsKeyPressed(imgui.Key.Slash, False):
            pressed.append(HELP)
        return KeyReading(held, tuple(pressed))

    def request(self, viewer: viewer_protocol.Viewer, command: Command, *, twice: bool) -> None:
        """Send a command, or keep the first of two requests.

        Args:
            viewer: the viewer whose messages reach the control loop.
            command: the command.
            twice: True if only a second request counts.
        """
        if twice and not self.is_requested(command):
            self._requested_s[command] = time.monotonic()
            return
        self._requested_s.pop(command, None)
        viewer.send_to_sim(CommandRequest(command))

    def is_requested(self, command: Command) -> bool:
        """Return True if a command waits for its second request."""
        return time.monotonic() - self._requested_s.get(command, -CONFIRM_WITHIN_S) < CONFIRM_WITHIN_S


def window_key(name: str) -> imgui.Key:
    """Return Dear ImGui's key; in a window, keys are letters, not places."""
    return getattr(imgui.Key, f"N{name}" if name.isdigit() else name)
