"""Discovery of attached input devices."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES
from hilserl.operators.devices import gamepad, spacemouse
from hilserl.operators.devices.axis_mapping import ControlMapping
from hilserl.operators.devices.device import InputDevice
from hilserl.operators.devices.gamepad import GamepadConfig, attached_gamepads, open_gamepad
from hilserl.operators.devices.spacemouse import SpaceMouseConfig, open_spacemice
from hilserl.operators.devices.spacemouse_hid import attached_spacemice

_ACTIONS = ("tcp_dx", "tcp_dy", "tcp_dz", "tcp_drx", "tcp_dry", "tcp_drz", "gripper")
ALL_MOTIONS = ActionLayout(tuple(f"{arm}_{name}" for arm in ("left", "right") for name in _ACTIONS), grippers=(6, 13))
"""A layout with everything that devices can move."""
_REFRESH_S = 0.1


@dataclass(frozen=True)
class DeviceKind:
    """A kind of input device."""

    names: Callable[[], list[str]]
    """Names of the attached devices. Raises HilserlError with the command to install where a library is missing."""
    open: Callable[[ActionLayout], tuple[InputDevice, ...]]
    """Opens at most one device for each arm, with default settings. Raises HilserlError if no device is attached."""
    controls: tuple[ControlMapping, ...]


DEVICE_KINDS = {
    "gamepad": DeviceKind(attached_gamepads, lambda layout: (open_gamepad(layout, GamepadConfig()),), gamepad.CONTROLS),
    "spacemouse": DeviceKind(
        attached_spacemice, lambda layout: open_spacemice(layout, SpaceMouseConfig()), spacemouse.CONTROLS
    ),
}


def attached_devices() -> list[str]:
    """Describe each kind of device on one line.

    The line names the attached devices, or the command to install the library.
    """
    lines = []
    for kind, device in DEVICE_KINDS.items():
        try:
            lines.append(f"{kind}: {', '.join(device.names()) or 'none attached'}")
        except HilserlError as error:
            lines.append(f"{kind}: {error}")
    return lines


def open_all(layout: ActionLayout) -> tuple[dict[str, tuple[InputDevice, ...]], list[str]]:
    """Open the attached devices of every kind.

    Returns:
        The devices by kind, and a reason for each kind that could not be opened.
    """
    devices, reasons = {}, []
    for kind, device in DEVICE_KINDS.items():
        try:
            devices[kind] = device.open(layout)
        except HilserlError as error:
            reasons.append(f"{kind}: {error}")
    return devices, reasons


def watch_devices(
    devices: Sequence[InputDevice],
    seconds: float,
    show: Callable[[str], object],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Show the readings of all devices ten times a second.

    Args:
        devices: the devices to read; each keeps its last command on the line.
        seconds: duration.
        show: takes each line.
        clock: monotonic time in seconds.
        sleep: waits for some seconds.
    """
    last = dict.fromkeys((device.name for device in devices), "-")
    end = clock() + seconds
    while clock() < end:
        parts = []
        for device in devices:
            reading = device.read()
            if reading.commands:
                last[device.name] = reading.commands[-1].name.lower()
            moved = " ".join(f"{name} {value:+.2f}" for name, value in zip(AXES, reading.motion, strict=False))
            held = " SUCCESS HELD" if reading.success else ""
            state = f"{moved} last: {last[device.name]}{held}" if reading.present else "gone"
            parts.append(f"{device.name}: {state}")
        show(" | ".join(parts))
        sleep(_REFRESH_S)
