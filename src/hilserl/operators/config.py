"""Where a person sits: at which console, with which device in hand."""

from dataclasses import dataclass, field
from typing import Literal

from hilserl.data.spec import ActionLayout
from hilserl.operators.devices.device import InputDevice
from hilserl.operators.devices.gamepad import GamepadConfig, open_gamepad
from hilserl.operators.devices.spacemouse import SpaceMouseConfig, open_spacemice

View = Literal["auto", "web", "native"]
DeviceName = Literal["console", "gamepad", "spacemouse"]


@dataclass(frozen=True)
class ConsoleConfig:
    """A person's console and the settings of their device."""

    view: View = "auto"
    """In a browser, in a window here, or whichever this machine can show."""
    port: int = 0
    """The browser's port, on 127.0.0.1 only; 0 takes the first free one from 8080 on."""
    gamepad: GamepadConfig = field(default_factory=GamepadConfig)
    spacemouse: SpaceMouseConfig = field(default_factory=SpaceMouseConfig)


def open_devices(device: DeviceName, console: ConsoleConfig, layout: ActionLayout) -> tuple[InputDevice, ...]:
    """What the person holds beside the console. Raises HilserlError where it is not there."""
    if device == "gamepad":
        return (open_gamepad(layout, console.gamepad),)
    if device == "spacemouse":
        return open_spacemice(layout, console.spacemouse)
    return ()
