"""The devices besides the console: which are attached, and what they say."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES
from hilserl.operators.devices import gamepad, spacemouse
from hilserl.operators.devices import spacemouse_hid as puck
from hilserl.operators.devices.axis_mapping import AxisControl
from hilserl.operators.devices.device import InputDevice
from hilserl.operators.devices.gamepad import GamepadConfig, open_gamepad
from hilserl.operators.devices.spacemouse import SpaceMouseConfig, open_spacemice

_MOVES = ("tcp_dx", "tcp_dy", "tcp_dz", "tcp_drx", "tcp_dry", "tcp_drz", "gripper")
EVERY_MOTION = ActionLayout(tuple(f"{arm}_{name}" for arm in ("left", "right") for name in _MOVES), grippers=(6, 13))
"""All that devices can move, whatever a task has."""
_REFRESH_S = 0.1


@dataclass(frozen=True)
class DeviceKind:
    """A kind of device."""

    names: Callable[[], list[str]]
    """What is attached. Raises HilserlError saying what to install where that cannot be known."""
    open: Callable[[ActionLayout], tuple[InputDevice, ...]]
    """As many as the arms can be driven by, with default settings. Raises HilserlError where there is none."""
    controls: tuple[AxisControl, ...]


DEVICES = {
    "gamepad": DeviceKind(gamepad.gamepads, lambda layout: (open_gamepad(layout, GamepadConfig()),), gamepad.CONTROLS),
    "spacemouse": DeviceKind(
        puck.spacemice, lambda layout: open_spacemice(layout, SpaceMouseConfig()), spacemouse.CONTROLS
    ),
}


def attached() -> list[str]:
    """One line for each kind: what is attached, or what to install to find out."""
    lines = []
    for kind, device in DEVICES.items():
        try:
            lines.append(f"{kind}: {', '.join(device.names()) or 'none attached'}")
        except HilserlError as error:
            lines.append(f"{kind}: {error}")
    return lines


def open_all(layout: ActionLayout) -> tuple[dict[str, tuple[InputDevice, ...]], list[str]]:
    """The devices of each kind that can be opened, and why the others cannot."""
    sources, reasons = {}, []
    for kind, device in DEVICES.items():
        try:
            sources[kind] = device.open(layout)
        except HilserlError as error:
            reasons.append(f"{kind}: {error}")
    return sources, reasons


def watch(
    sources: Sequence[InputDevice],
    seconds: float,
    show: Callable[[str], object],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Shows ten times a second, for so long, one line of what the devices say; each keeps its last command on it."""
    last = dict.fromkeys((source.name for source in sources), "-")
    end = clock() + seconds
    while clock() < end:
        parts = []
        for source in sources:
            reading = source.read()
            if reading.commands:
                last[source.name] = reading.commands[-1].name.lower()
            moved = " ".join(f"{name} {value:+.2f}" for name, value in zip(AXES, reading.motion, strict=False))
            held = " SUCCESS HELD" if reading.success else ""
            said = f"{moved} last: {last[source.name]}{held}" if reading.present else "gone"
            parts.append(f"{source.name}: {said}")
        show(" | ".join(parts))
        sleep(_REFRESH_S)
