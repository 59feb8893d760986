"""Settings of the human operator's console and devices."""

from dataclasses import dataclass, field
from typing import Literal

from hilserl.data.spec import ActionLayout
from hilserl.operators.devices.device import InputDevice
from hilserl.operators.devices.gamepad import GamepadConfig, open_gamepad
from hilserl.operators.devices.key_bindings import KeyBindings
from hilserl.operators.devices.lerobot_teleop import LeRobotTeleopConfig, open_teleop
from hilserl.operators.devices.spacemouse import SpaceMouseConfig, open_spacemice
from hilserl.operators.phone.config import PhoneConfig
from hilserl.settings import Port

View = Literal["auto", "web", "native"]
DeviceName = Literal["console", "gamepad", "spacemouse", "phone", "lerobot"]


@dataclass(frozen=True)
class ConsoleConfig:
    """The human operator's console and input devices."""

    view: View = "auto"
    """Console in the browser (web) or in a window (native).

    `auto` opens a window if this machine has a display, otherwise the browser's page.
    """
    port: Port = 0
    """Port of the browser's page on 127.0.0.1.

    0 takes the first free port from 8080.
    """
    token: bool = True
    """Ask the browser's page for the token that its printed address has.

    Without it every program on this machine can drive.
    """
    keys: KeyBindings = field(default_factory=KeyBindings)
    gamepad: GamepadConfig = field(default_factory=GamepadConfig)
    spacemouse: SpaceMouseConfig = field(default_factory=SpaceMouseConfig)
    phone: PhoneConfig = field(default_factory=PhoneConfig)
    lerobot: LeRobotTeleopConfig = field(default_factory=LeRobotTeleopConfig)


def open_devices(device: DeviceName, config: ConsoleConfig, layout: ActionLayout) -> tuple[InputDevice, ...]:
    """Open the operator's input devices beside the console.

    Raises:
        HilserlError: the device is not attached, its library is missing, or the phone's page cannot be served.
    """
    if device == "gamepad":
        return (open_gamepad(layout, config.gamepad),)
    if device == "spacemouse":
        return open_spacemice(layout, config.spacemouse)
    if device == "phone":
        from hilserl.operators.phone.phone import Phone  # it takes a moment to import

        return (Phone(layout, config.phone),)
    if device == "lerobot":
        return (open_teleop(layout, config.lerobot),)
    return ()
