"""A gamepad as a source of motions and commands: any pad that SDL knows, in SDL's standard layout.

SDL names buttons by where they are on an Xbox pad, so the map below holds for Xbox and PlayStation pads alike.
"""

import contextlib
import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.devices.axis_mapping import AxisControl, check_stick, deflection, motion
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command

# SDL counts right and down as positive.
CONTROLS = (
    AxisControl("left stick up", axis=("LEFTY", -1.0), moves=("x", 1.0)),
    AxisControl("left stick down", axis=("LEFTY", 1.0), moves=("x", -1.0)),
    AxisControl("left stick left", axis=("LEFTX", -1.0), moves=("y", 1.0)),
    AxisControl("left stick right", axis=("LEFTX", 1.0), moves=("y", -1.0)),
    AxisControl("right stick up", axis=("RIGHTY", -1.0), moves=("z", 1.0)),
    AxisControl("right stick down", axis=("RIGHTY", 1.0), moves=("z", -1.0)),
    AxisControl("right stick left", axis=("RIGHTX", -1.0), moves=("yaw", 1.0)),
    AxisControl("right stick right", axis=("RIGHTX", 1.0), moves=("yaw", -1.0)),
    AxisControl("d-pad up", axis=("DPADY", -1.0), moves=("pitch", 1.0)),
    AxisControl("d-pad down", axis=("DPADY", 1.0), moves=("pitch", -1.0)),
    AxisControl("d-pad right", axis=("DPADX", 1.0), moves=("roll", 1.0)),
    AxisControl("d-pad left", axis=("DPADX", -1.0), moves=("roll", -1.0)),
    AxisControl("right bumper (RB, R1)", button="RIGHTSHOULDER", command=Command.GRIPPER),
    AxisControl("left stick pressed (LS, L3)", button="LEFTSTICK", command=Command.SWITCH_ARM),
    AxisControl("left bumper (LB, L1)", button="LEFTSHOULDER", command=Command.TAKEOVER),
    AxisControl("Y (triangle)", button="Y", command=Command.SUCCESS),
    AxisControl("B (circle)", button="B", command=Command.FAILURE),
    AxisControl("X (square)", button="X", command=Command.DISCARD),
    AxisControl("View (Back, Share)", button="BACK", command=Command.RESET),
    AxisControl("Menu (Start, Options)", button="START", command=Command.PAUSE),
    AxisControl("A (cross)", button="A"),
)
"""The one map of the pad; the documentation and the tests read it from here."""

_LABEL_BUTTON = "A"
_COMMANDS = {c.button: c.command for c in CONTROLS if c.command is not None}
_DPAD = ("DPAD_UP", "DPAD_DOWN", "DPAD_LEFT", "DPAD_RIGHT")
_BUTTONS = (*(c.button for c in CONTROLS if c.button is not None), *_DPAD)
_AXES = ("LEFTX", "LEFTY", "RIGHTX", "RIGHTY")
_FULL = 32767
"""What SDL says of an axis at full deflection."""


@dataclass(frozen=True)
class GamepadConfig:
    """How a pad is read."""

    dead_zone: float = 0.1
    """How far a stick may be off its centre and mean nothing, as a part of full deflection."""
    scale: float = 1.0
    """What full deflection asks for, as a part of a full action."""
    index: int = 0
    """Which of the attached pads."""

    def __post_init__(self) -> None:
        check_stick(self.dead_zone, scale=self.scale)
        if self.index < 0:
            raise HilserlError(f"The gamepad's index is {self.index}; the first pad has index 0.")


@dataclass(frozen=True)
class PadState:
    """What a pad says at one moment; axes and buttons have the names of SDL's constants."""

    axes: Mapping[str, float]
    """LEFTX, LEFTY, RIGHTX and RIGHTY in [-1, 1]; right and down are positive."""
    held: frozenset[str] = frozenset()
    pressed: tuple[str, ...] = ()
    """What went down since the state before, in order."""


class Pad(Protocol):
    """A pad that can be asked."""

    def poll(self) -> PadState | None:
        """What it says now; None while it is unplugged. Never waits."""
        ...

    def close(self) -> None: ...


class Gamepad:
    """A gamepad. The two sticks and the d-pad each ask for a motion of their own, no longer than `config.scale`."""

    name = "gamepad"
    arm: str | None = None

    def __init__(self, pad: Pad, layout: ActionLayout, config: GamepadConfig) -> None:
        self._pad, self._layout, self._config = pad, layout, config

    def read(self) -> Reading:
        state = self._pad.poll()
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
            motion=motion(CONTROLS, axes, self._layout),
            commands=tuple(_COMMANDS[button] for button in state.pressed if button in _COMMANDS),
            success=_LABEL_BUTTON in state.held,
        )

    def close(self) -> None:
        self._pad.close()


class _SdlPad:
    """A pad of SDL's, and any pad that is plugged in once it is gone."""

    def __init__(self, pygame: Any, controllers: Any, controller: Any) -> None:
        self._pygame, self._controllers = pygame, controllers
        self._buttons = {name: getattr(pygame, f"CONTROLLER_BUTTON_{name}") for name in _BUTTONS}
        self._axes = {name: getattr(pygame, f"CONTROLLER_AXIS_{name}") for name in _AXES}
        self._names = {number: name for name, number in self._buttons.items()}
        self._controller = controller
        self._instance = controller.as_joystick().get_instance_id()

    def poll(self) -> PadState | None:
        pressed = []
        for event in self._pygame.event.get():
            if event.type == self._pygame.CONTROLLERDEVICEADDED and not self._controller.attached():
                self._take(event.device_index)
            elif event.type == self._pygame.CONTROLLERBUTTONDOWN and event.instance_id == self._instance:
                pressed.append(self._names.get(event.button, ""))
        pad = self._controller
        if not pad.attached():
            return None
        axes = {name: max(-1.0, pad.get_axis(number) / _FULL) for name, number in self._axes.items()}
        held = frozenset(name for name, number in self._buttons.items() if pad.get_button(number))
        return PadState(axes, held, tuple(pressed))

    def _take(self, device_index: int) -> None:
        try:
            controller = self._controllers.Controller(device_index)
        except self._pygame.error:
            return  # unplugged again before anybody looked: it stays away
        self._controller.quit()
        self._controller, self._instance = controller, controller.as_joystick().get_instance_id()

    def close(self) -> None:
        self._pygame.quit()


def _library() -> tuple[Any, Any]:
    """pygame and its module of controllers, running without a window. Raises HilserlError where it is missing."""
    os.environ["SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS"] = "1"
    os.environ["SDL_NO_SIGNAL_HANDLERS"] = "1"  # else SDL takes SIGTERM for itself and the program cannot be ended
    os.environ["PYGAME_HIDE_SUPPORT_PROMPT"] = "1"
    try:
        pygame = importlib.import_module("pygame")
        controllers = importlib.import_module("pygame._sdl2.controller")
    except ModuleNotFoundError as error:
        raise HilserlError('pygame-ce is not installed: pip install "hilserl[gamepad]"') from error
    with _variable("SDL_VIDEODRIVER", "dummy"):  # SDL's events need a video driver; this one needs no screen
        pygame.display.init()
    controllers.init()
    pygame.event.clear()
    return pygame, controllers


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Sets an environment variable for a while: the console's window reads this one too."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def gamepads() -> list[str]:
    """The names of the attached pads. Raises HilserlError where pygame is missing."""
    _, controllers = _library()
    return [controllers.Controller(i).name for i in range(controllers.get_count()) if controllers.is_controller(i)]


def open_gamepad(layout: ActionLayout, config: GamepadConfig) -> Gamepad:
    """The pad that the config names; one process reads one pad.

    Raises HilserlError where pygame is missing or there is no such pad.
    """
    pygame, controllers = _library()
    joysticks = range(pygame.joystick.get_count())
    pads = [i for i in joysticks if controllers.is_controller(i)]
    if config.index >= len(pads):
        names = [pygame.joystick.Joystick(i).get_name() + " (not a gamepad)" * (i not in pads) for i in joysticks]
        raise HilserlError(
            f"There is no gamepad with index {config.index}; attached: {', '.join(names) or 'none'}. "
            "Plug one in or pair it; over ssh the user must be in the group input to read it."
        )
    return Gamepad(_SdlPad(pygame, controllers, controllers.Controller(pads[config.index])), layout, config)
