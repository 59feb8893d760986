"""The loop's side of the console: hands come in, the scene, the cameras and the numbers go out."""

import atexit
import getpass
import socket
import time
from collections.abc import Callable, Sequence

import mujoco
import numpy as np
from mujoco.studio import messages, plugin

from hilserl.data.spec import ActionLayout
from hilserl.data.step import Step
from hilserl.operators.action_axes import arm_axes
from hilserl.operators.config import View
from hilserl.operators.console import viewers
from hilserl.operators.console.messages import CameraImages, CommandRequest, DriveState, OperatorInput, Presence
from hilserl.operators.console.panel import Panel
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import LABEL_KEY, Command, Key, key_motion

TICKS_PER_STEP = 6
"""The scene moves at 60 Hz between control steps of 0.1 s."""
_WATCHED_FRAME_S = 1 / 20
_PICTURE_S = 0.1


class _Inbox(plugin.SimPlugin):
    """What has come from the viewer since it was last read."""

    def __init__(self) -> None:
        self._now, self._seen = OperatorInput(), frozenset[str]()
        self._commands: list[Command] = []
        self._presence = Presence(False, -float("inf"))

    @messages.handler
    def on_hands(self, hands: OperatorInput) -> None:
        self._now = hands
        self._seen |= hands.held

    @messages.handler
    def on_pressed(self, pressed: CommandRequest) -> None:
        self._commands.append(pressed.command)

    @messages.handler
    def on_presence(self, presence: Presence) -> None:
        self._presence = presence

    @property
    def present(self) -> bool:
        return self._presence.present and time.monotonic() - self._presence.at_s < viewers.SILENCE_S

    def take(self, layout: ActionLayout) -> Reading:
        held, self._seen = self._now.held | self._seen, frozenset()
        commands, self._commands = tuple(self._commands), []
        if not self.present:
            self._now = OperatorInput()
            return Reading(False, commands=commands)
        hands = self._now
        return Reading(
            True, key_motion(held, layout), commands, hands.goal_m, hands.goal_arm, success=LABEL_KEY.name in held
        )


def empty_scene() -> tuple[mujoco.MjModel, mujoco.MjData]:
    """Compile a model without anything in it, as MuJoCo Studio's viewers draw nothing else."""
    model = mujoco.MjSpec().compile()
    return model, mujoco.MjData(model)


class Console:
    """A source of what the person does, and the place where they see what goes on.

    `frame` belongs at evenly spread moments of every control step (`Simulation.watched`): while somebody drives it
    keeps the step at real time and the scene smooth; else it costs next to nothing.
    """

    name = "console"
    arm: str | None = None

    def __init__(
        self,
        model: mujoco.MjModel,
        data: mujoco.MjData,
        layout: ActionLayout,
        tcp_m: Callable[[str], np.ndarray],
        *,
        keys: tuple[Key, ...],
        view: View = "auto",
        port: int = 0,
        tick_s: float = 0.1 / TICKS_PER_STEP,
        plugins: Sequence[plugin.Plugin] = (),
    ) -> None:
        self._model, self._data, self._layout, self._tcp_m = model, data, layout, tcp_m
        self._frame_s = tick_s
        self._inbox = _Inbox()
        self.real_time = False
        """Whether time is to pass as a person lives it."""
        self.driven = False
        """Whether a person drives."""
        self.chosen_arm = arm_axes(layout)[0].name
        """The arm at whose tool the marker is."""
        self._due = self._shown = self._pictured = time.monotonic()
        all_plugins = [Panel(keys), self._inbox, *plugins]
        if view == "native" or (view == "auto" and viewers.has_display()):
            self._handle, self.url = viewers.open_native(model, data, all_plugins), None
        else:
            self._handle, self.port = viewers.open_web(port, all_plugins)
            self.url = f"http://{viewers.LOOPBACK}:{self.port}/"
        self._open = True
        # A viewer's thread that outlives the interpreter crashes it.
        atexit.register(self._handle.close)
        self._sync()

    def announcement(self) -> str:
        """How to get to the console, for a terminal."""
        if self.url is None:
            return "The console is open in a window."
        here = f"{getpass.getuser()}@{socket.gethostname()}"
        return (
            f"Console: {self.url}\n"
            f"From another machine: ssh -N -L {self.port}:{viewers.LOOPBACK}:{self.port} {here}\n"
            f"and there open http://localhost:{self.port}/"
        )

    @property
    def is_open(self) -> bool:
        """False once the window was closed or the viewer failed; the loop goes on without it."""
        return self._open

    def read(self) -> Reading:
        self._sync()
        return self._inbox.take(self._layout) if self._open else Reading(False)

    def tick(self) -> None:
        """One moment of a control step."""
        now = time.monotonic()
        if self.real_time:
            self._due = max(self._due + self._frame_s, now - self._frame_s)
            self._sync()
            if self._due > now:
                time.sleep(self._due - now)
        elif now - self._shown >= _WATCHED_FRAME_S:
            self._sync()

    def idle(self) -> None:
        """A moment in which time stands still."""
        self._sync()
        time.sleep(self._frame_s)

    def on_step(self, step: Step, drawing: Callable[[], np.ndarray | None] = lambda: None) -> None:
        """Shows what the policy's cameras saw and the drawing, if there is one, as often as an eye can use them."""
        now = time.monotonic()
        if now - self._pictured >= _PICTURE_S:
            self._pictured = now
            images = {name: image for name, image in step.observation.items() if image.dtype == np.uint8}
            drawn = drawing()
            if images or drawn is not None:
                self.send(CameraImages(images, drawn))

    def _sync(self) -> None:
        self._shown = time.monotonic()
        if self._open and self._handle._is_running:
            x, y, z = self._tcp_m(self.chosen_arm).tolist()
            self.send(DriveState((x, y, z), self.driven, self.real_time, self.chosen_arm))
            self._handle.sync(self._model, self._data)
        else:
            self._open = False

    def send(self, message: messages.Message) -> None:
        """Shows the person something: a status, pictures, whatever a plugin of the viewer's understands."""
        if self._open:
            self._handle.send_to_viewer(message)

    def close(self) -> None:
        """Ends the viewer. Raises what stopped it, if something did."""
        self._open = False
        atexit.unregister(self._handle.close)
        self._handle.close()
