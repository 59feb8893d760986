"""The control loop's side of the console."""

import atexit
import getpass
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np
from mujoco.studio import messages, plugin

from hilserl.data.spec import ActionLayout
from hilserl.data.step import Step
from hilserl.operators.action_axes import arm_axes
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.console import viewers
from hilserl.operators.console.keyboard import Keyboard
from hilserl.operators.console.messages import CameraImages, CommandRequest, DriveState, OperatorInput, Presence
from hilserl.operators.console.page_access import PageAccess
from hilserl.operators.console.panel import Panel
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command, Key, bound_keys, key_motion
from hilserl.tokens import new_token

TICKS_PER_STEP = 6
"""UI ticks in a control step.

It is 60 Hz at control steps of 0.1 s.
"""
_WATCHED_TICK_S = 1 / 20
"""Time between two ticks while the policy drives, in seconds."""
_IMAGE_S = 0.1
"""Time between two updates of the camera images, in seconds."""


class Inbox(plugin.SimPlugin):
    """The operator's input from the viewer since the last reading.

    Args:
        keys: keys of all actions.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys
        self._labels = frozenset(key.name for key in keys if key.labels)
        self._input, self._held = OperatorInput(), frozenset[str]()
        self._commands: list[Command] = []
        self._presence = Presence(False, -float("inf"))

    @messages.handler
    def on_input(self, event: OperatorInput) -> None:
        """Keep held keys and the dragged goal."""
        self._input = event
        self._held |= event.held

    @messages.handler
    def on_command(self, request: CommandRequest) -> None:
        """Keep a command."""
        self._commands.append(request.command)

    @messages.handler
    def on_presence(self, presence: Presence) -> None:
        """Keep the presence."""
        self._presence = presence

    @property
    def present(self) -> bool:
        """True if the operator's page or window answers."""
        return self._presence.present and time.monotonic() - self._presence.at_s < viewers.SILENCE_S

    def take(self, layout: ActionLayout) -> Reading:
        """Return the input since the last call, short taps included."""
        held, self._held = self._input.held | self._held, frozenset()
        commands, self._commands = tuple(self._commands), []
        if not self.present:
            self._input = OperatorInput()
            return Reading(False, commands=commands)
        goal_m, goal_arm = self._input.goal_m, self._input.goal_arm
        motion, success = key_motion(held, layout, self._keys), bool(held & self._labels)
        return Reading(True, motion, commands, goal_m, goal_arm, success)


@dataclass(frozen=True)
class ConsoleScene:
    """The scene that a console shows."""

    present: Callable[[], tuple[mujoco.MjModel, mujoco.MjData]]
    """Returns the model, always the same, and its present state."""
    layout: ActionLayout
    """Layout of the actions."""
    tcp_position_m: Callable[[str], np.ndarray]
    """Returns an arm's tool position by name, in metres (world frame)."""
    centre_m: np.ndarray
    """Centre of the arms' workspaces, float64 [3] (world frame)."""
    control_dt_s: float = 0.1
    """Length of a control step, in seconds."""


def empty_scene() -> tuple[mujoco.MjModel, mujoco.MjData]:
    """Compile an empty model, as MuJoCo Studio's viewers need a model."""
    model = mujoco.MjSpec().compile()
    return model, mujoco.MjData(model)


class Console:
    """The console: input by keys and mouse, display of scene and status.

    `tick` belongs at evenly spaced moments of every control step (`SceneView.watched`). While the operator drives, it
    keeps the step at real time and the scene smooth; otherwise it costs almost nothing.

    Args:
        scene: the scene to show.
        keys: the keys that the panel lists.
        config: view, port and keys.
        plugins: additional plugins of the viewer.
    """

    name = "console"
    arm: str | None = None

    def __init__(
        self, scene: ConsoleScene, keys: tuple[Key, ...], config: ConsoleConfig, plugins: Sequence[plugin.Plugin] = ()
    ) -> None:
        self._scene, self._tick_s = scene, scene.control_dt_s / TICKS_PER_STEP
        all_keys = bound_keys(config.keys)
        self._inbox = Inbox(all_keys)
        self.real_time = False
        """True if a control step must last its nominal time."""
        self.driven = False
        """True if the operator drives."""
        self.chosen_arm = arm_axes(scene.layout)[0].name
        """Name of the arm whose tool has the target marker."""
        self._due_s = self._synced_s = self._images_sent_s = time.monotonic()
        self._unsent: tuple[Step, Callable[[], np.ndarray | None]] | None = None
        all_plugins = [Panel(keys, Keyboard(all_keys), scene.centre_m), self._inbox, *plugins]
        if config.view == "native" or (config.view == "auto" and viewers.has_display()):
            self._handle, self.url = viewers.open_native(*scene.present(), all_plugins), None
        else:
            self._access = PageAccess(new_token() if config.token else None)
            self._handle, self.port = viewers.open_web(config.port, all_plugins, self._access)
            self.url = self._access.address(viewers.LOOPBACK, self.port)
        self._open = True
        # A viewer's thread that outlives the interpreter crashes it.
        atexit.register(self._handle.close)
        self._sync()

    def announcement(self) -> str:
        """Describe the way to the console, for a terminal."""
        if self.url is None:
            return "The console is open in a window."
        try:
            user = getpass.getuser()
        except (KeyError, OSError):
            user = "USER"  # in a container the user may have a number without a name
        here = f"{user}@{socket.gethostname()}"
        return (
            f"Console: {self.url}\n"
            f"From another machine: ssh -N -L {self.port}:{viewers.LOOPBACK}:{self.port} {here}\n"
            f"then open {self._access.address('localhost', self.port)} there"
        )

    @property
    def is_open(self) -> bool:
        """False after the window was closed or the viewer failed.

        The control loop goes on without the console.
        """
        return self._open

    def read(self) -> Reading:
        """Return the present state, without waiting."""
        self._sync()
        return self._inbox.take(self._scene.layout) if self._open else Reading(False)

    def tick(self) -> None:
        """Run one UI tick of a control step."""
        now = time.monotonic()
        if self.real_time:
            self._due_s = max(self._due_s + self._tick_s, now - self._tick_s)
            self._sync()
            if self._due_s > now:
                time.sleep(self._due_s - now)
        elif now - self._synced_s >= _WATCHED_TICK_S:
            self._sync()

    def idle(self) -> None:
        """Wait for one UI tick while time stands still."""
        self._show_images()
        self._sync()
        time.sleep(self._tick_s)

    def on_step(self, step: Step, scene_image: Callable[[], np.ndarray | None] = lambda: None) -> None:
        """Show a step's camera images, at most ten times a second.

        The images of a new episode are shown at once, and those of the last step before time stands still.

        Args:
            step: the step whose observation has the images.
            scene_image: renders the image in place of the 3D scene, if any.
        """
        self._unsent = step, scene_image
        if step.is_reset or time.monotonic() - self._images_sent_s >= _IMAGE_S:
            self._show_images()

    def _show_images(self) -> None:
        """Show the last step's images, if they are not shown yet."""
        if self._unsent is None:
            return
        (step, scene_image), self._unsent = self._unsent, None
        self._images_sent_s = time.monotonic()
        images = {name: image for name, image in step.observation.items() if image.dtype == np.uint8}
        scene = scene_image()
        if images or scene is not None:
            self.send(CameraImages(images, scene))

    def _sync(self) -> None:
        self._synced_s = time.monotonic()
        if self._open and self._handle._is_running:
            x, y, z = self._scene.tcp_position_m(self.chosen_arm).tolist()
            self.send(DriveState((x, y, z), self.driven, self.real_time, self.chosen_arm))
            self._handle.sync(*self._scene.present())
        else:
            self._open = False

    def send(self, message: messages.Message) -> None:
        """Send a message to the plugins of the viewer."""
        if self._open:
            self._handle.send_to_viewer(message)

    def close(self) -> None:
        """Close the viewer; raises the error that stopped it, if any."""
        self._open = False
        atexit.unregister(self._handle.close)
        self._handle.close()
