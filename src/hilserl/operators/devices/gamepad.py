"""Gamepad input: any pad that SDL knows, in SDL's standard layout.

SDL names buttons by their position on an Xbox pad, so the map below holds for Xbox and PlayStation pads alike.
"""

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.devices.axis_mapping import ControlMapping, axis_motion, check_deflection, deflection
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command

# SDL counts right and down as positive.
CONTROLS = (
    ControlMapping("left stick up", axis=("LEFTY", -1.0), moves=("x", 1.0)),
    ControlMapping("left stick down", axis=("LEFTY", 1.0), moves=("x", -1.0)),
    ControlMapping("left stick left", axis=("LEFTX", -1.0), moves=("y", 1.0)),
    ControlMapping("left stick right", axis=("LEFTX", 1.0), moves=("y", -1.0)),
    ControlMapping("right stick up", axis=("RIGHTY", -1.0), moves=("z", 1.0)),
    ControlMapping("right stick down", axis=("RIGHTY", 1.0), moves=("z", -1.0)),
    ControlMapping("right stick left", axis=("RIGHTX", -1.0), moves=("yaw", 1.0)),
    ControlMapping("right stick right", axis=("RIGHTX", 1.0), moves=("yaw", -1.0)),
    ControlMapping("d-pad up", axis=("DPADY", -1.0), moves=("pitch", 1.0)),
    ControlMapping("d-pad down", axis=("DPADY", 1.0), moves=("pitch", -1.0)),
    ControlMapping("d-pad right", axis=("DPADX", 1.0), moves=("roll", 1.0)),
    ControlMapping("d-pad left", axis=("DPADX", -1.0), moves=("roll", -1.0)),
    ControlMapping("right bumper (RB, R1)", button="RIGHTSHOULDER", command=Command.GRIPPER),
    ControlMapping("left stick pressed (LS, L3)", button="LEFTSTICK", command=Command.SWITCH_ARM),
    ControlMapping("left bumper (LB, L1)", button="LEFTSHOULDER", command=Command.TAKEOVER),
    ControlMapping("Y (triangle)", button="Y", command=Command.SUCCESS),
    ControlMapping("B (circle)", button="B", command=Command.FAILURE),
    ControlMapping("X (square)", button="X", command=Command.DISCARD),
    ControlMapping("View (Back, Share)", button="BACK", command=Command.RESET),
    ControlMapping("Menu (Start, Options)", button="START", command=Command.PAUSE),
    ControlMapping("A (cross)", button="A"),
)
"""Map of the gamepad; documentation and tests read it from here."""

_LABEL_BUTTON = "A"
_COMMANDS = {c.button: c.command for c in CONTROLS if c.command is not None}
_DPAD = ("DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT")
_BUTTONS = (*(c.button for c in CONTROLS if c.button is not None), *_DPAD)
_AXES = ("LEFTX", "LEFTY", "RIGHTX", "RIGHTY")
_FULL = 32767
"""Value of an SDL axis at full deflection."""


@dataclass(frozen=True)
class GamepadConfig:
    """Settings of a gamepad."""

    dead_zone: float = 0.1
    """Deflection of a stick without effect, as a part of full deflection."""
    scale: float = 1.0
    """Motion at full deflection, as a part of a full action."""
    index: int = 0
    """Index among the attached gamepads."""

    def __post_init__(self) -> None:
        check_deflection(self.dead_zone, scale=self.scale)
        if self.index < 0:
            raise HilserlError(f"Invalid gamepad index {self.index}: expected 0 (the first gamepad) or more.")


@dataclass(frozen=True)
class GamepadState:
    """The state of a gamepad at one moment.

    Axes and buttons have the names of SDL's constants.
    """

    axes: Mapping[str, float]
    """LEFTX, LEFTY, RIGHTX and RIGHTY in [-1, 1].

    Right and down are positive.
    """
    held: frozenset[str] = frozenset()
    pressed: tuple[str, ...] = ()
    """Buttons that went down since the previous state, in order."""


class GamepadBackend(Protocol):
    """Access to one gamepad."""

    def poll(self) -> GamepadState | None:
        """Return the present state without waiting; None while the gamepad is unplugged."""
        ...

    def close(self) -> None:
        """Release the gamepad."""
        ...


class Gamepad:
    """A gamepad as an input device.

    The two sticks and the d-pad each ask for a separate motion, no longer than `config.scale`.
    """

    name = "gamepad"
    arm: str | None = None

    def __init__(self, backend: GamepadBackend, layout: ActionLayout, config: GamepadConfig) -> None:
        self._backend, self._layout, self._config = backend, layout, config

    def read(self) -> Reading:
        """Return the present state, without waiting."""
        state = self._backend.poll()
        if state is None:
            return Reading(present=False)
        dpad = {
            "DPADX": float("DPAD_RIGHT" in state.held) - float("DPAD_LEFT" in state.held),
            "DPADY": float("DPAD_DOWN" in state.held) - float("DPAD_UP" in state.held),
        }
        raw, axes = {**state.axes, **dpad}, {}
        for stick in (("LEFTX", "LEFTY"), ("RIGHTX", "RIGHTY"), ("DPADX", "DPADY")):
            pushed = deflection([raw[axis] for axis in stick], self._config.dead_zone, self._config.scale)
            axes.update(zip(stick, pushed, strict=True))
        return Reading(
            present=True,
            motion=axis_motion(CONTROLS, axes, self._layout),
            commands=tuple(_COMMANDS[button] for button in state.pressed if button in _COMMANDS),
            success=_LABEL_BUTTON in state.held,
        )

    def close(self) -> None:
        """Release the gamepad."""
        self._backend.close()


class SdlGamepad:
    """A gamepad read through SDL.

    When the gamepad is unplugged, the next one that is plugged in takes its place.

    Args:
        pygame: the module pygame.
        controllers: pygame's module of controllers.
        controller: the open controller.
    """

    def __init__(self, pygame: Any, controllers: Any, controller: Any) -> None:
        self._pygame, self._controllers = pygame, controllers
        self._buttons = {name: getattr(pygame, f"CONTROLLER_BUTTON_{name}") for name in _BUTTONS}
        self._axes = {name: getattr(pygame, f"CONTROLLER_AXIS_{name}") for name in _AXES}
        self._names = {number: name for name, number in self._buttons.items()}
        self._controller = controller
        self._instance = controller.as_joystick().get_instance_id()

    def poll(self) -> GamepadState | None:
        """Return the present state without waiting; None while the gamepad is unplugged."""
        pressed = []
        for event in self._pygame.event.get():
            if event.type == self._pygame.CONTROLLERDEVICEADDED and not self._controller.attached():
                self._replace(event.device_index)
            elif event.type == self._pygame.CONTROLLERBUTTONDOWN and event.instance_id == self._instance:
                pressed.append(self._names.get(event.button, ""))
        controller = self._controller
        if not controller.attached():
            return None
        axes = {name: max(-1.0, controller.get_axis(number) / _FULL) for name, number in self._axes.items()}
        held = frozenset(name for name, number in self._buttons.items() if controller.get_button(number))
        return GamepadState(axes, held, tuple(pressed))

    def _replace(self, device_index: int) -> None:
        try:
            controller = self._controllers.Controller(device_index)
        except self._pygame.error:
            return  # it was unplugged again before this event was handled
        self._controller.quit()
        self._controller, self._instance = controller, controller.as_joystick().get_instance_id()

    def close(self) -> None:
        """Shut SDL down."""
        self._pygame.quit()


def attached_gamepads() -> list[str]:
    """Return the names of the attached gamepads.

    Raises:
        HilserlError: pygame is missing.
    """
    _, controllers = _import_pygame()
    return [controllers.Controller(i).name for i in range(controllers.get_count()) if controllers.is_controller(i)]


def open_gamepad(layout: ActionLayout, config: GamepadConfig) -> Gamepad:
    """Open a gamepad; one process reads one gamepad.

    Raises:
        HilserlError: pygame is missing, or no gamepad has the index.
    """
    pygame, controllers = _import_pygame()
    joysticks = range(pygame.joystick.get_count())
    pads = [i for i in joysticks if controllers.is_controller(i)]
    if config.index >= len(pads):
        names = [pygame.joystick.Joystick(i).get_name() + " (not a gamepad)" * (i not in pads) for i in joysticks]
        raise HilserlError(
            f"No gamepad has index {config.index}. Attached: {', '.join(names) or 'none'}. "
            "Plug a gamepad in or pair it. Over ssh, only users in the group input can read it."
        )
    return Gamepad(SdlGamepad(pygame, controllers, controllers.Controller(pads[config.index])), layout, config)


def _import_pygame() -> tuple[Any, Any]:
    """Return pygame and its module of controllers, running without a window."""
    os.environ["SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS"] = "1"
    os.environ["SDL_NO_SIGNAL_HANDLERS"] = "1"  # otherwise SDL takes SIGTERM and the program cannot be ended
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    try:
        pygame = importlib.import_module("pygame")
        controllers = importlib.import_module("pygame._sdl2.controller")
    except ModuleNotFoundError as error:
        raise HilserlError('pygame-ce is not installed: pip install "hilserl[gamepad]"') from error
    with _environment_variable("SDL_VIDEODRIVER", "dummy"):  # SDL's events need a video driver; this needs no screen
        pygame.display.init()
    controllers.init()
    pygame.event.clear()
    return pygame, controllers


@contextlib.contextmanager
def _environment_variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for a while.

    The console's window reads the same variable later.
    """
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
