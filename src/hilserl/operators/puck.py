"""A SpaceMouse as a device: its reports, read through pyspacemouse and HIDAPI."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hilserl.errors import HilserlError

AXES: tuple[str, ...] = ("x", "y", "z", "roll", "pitch", "yaw")
"""In pyspacemouse's convention ROS (REP 103): x away from the person, y left, z up, right-handed turns about them."""

_STILL = (0.0,) * len(AXES)
_BUTTONS = ((1, 0), (1, 1))
"""Byte and bit of the two buttons in a report. Models without a left and a right one have MENU and FIT, or 1 and 2."""
_INSTALL = 'pip install "hilserl[spacemouse]"'
_HIDAPI = "sudo apt-get install libhidapi-hidraw0"
_UDEV = "add the udev rule of docs/devices.md and plug it in again"


@dataclass(frozen=True)
class PuckState:
    """One report of a puck."""

    axes: tuple[float, ...] = _STILL
    """One number in about [-1, 1] for each of AXES."""
    buttons: tuple[bool, ...] = (False, False)
    """The left and the right one: held."""


class Puck(Protocol):
    """An open device."""

    def read(self) -> PuckState | None:
        """The next report that is queued, None where there is none. Never waits.

        Raises ConnectionError when the device is gone.
        """
        ...

    def close(self) -> None: ...


class _HidPuck:
    """All interfaces of one device.

    The Universal Receiver has several under one name; which of them speaks depends on the puck (PySpaceMouse issue 49).
    """

    def __init__(self, interfaces: Sequence[Any], failure: type[Exception]) -> None:
        self._interfaces, self._failure = interfaces, failure
        self._heard = [-1.0] * len(interfaces)
        specs = interfaces[0].info.button_specs
        self._buttons = [next((i for i, s in enumerate(specs) if (s.byte, s.bit) == at), None) for at in _BUTTONS]

    def read(self) -> PuckState | None:
        for index, interface in enumerate(self._interfaces):
            try:
                state = interface.read()
            except self._failure as error:
                raise ConnectionError(f"The SpaceMouse is gone: {error}") from error
            if state.t != self._heard[index]:  # it is the time of the last report
                self._heard[index] = state.t
                held = tuple(i is not None and bool(state.buttons[i]) for i in self._buttons)
                return PuckState(tuple(getattr(state, axis) for axis in AXES), held)
        return None

    def close(self) -> None:
        for interface in self._interfaces:
            interface.close()


def _found() -> list[tuple[Any, Any]]:
    """pyspacemouse's description and HIDAPI's device of each attached interface. Raises HilserlError without them."""
    try:
        library, hid = importlib.import_module("pyspacemouse"), importlib.import_module("easyhid")
    except ModuleNotFoundError as error:
        raise HilserlError(f"pyspacemouse is not installed: {_INSTALL}") from error
    try:
        devices = {device.path: device for device in hid.Enumeration().find()}
    except AttributeError as error:  # what easyhid comes to without the library
        raise HilserlError(f"The library HIDAPI is not installed: {_HIDAPI}") from error
    specs = {(spec.vendor_id, spec.product_id): spec for spec in library.get_device_specs().values()}
    ids = [(device, (device.vendor_id, device.product_id)) for device in devices.values()]
    return [(specs[key], device) for device, key in ids if key in specs]


def spacemice() -> list[str]:
    """The names of the attached devices. Raises HilserlError where pyspacemouse or HIDAPI is missing."""
    return list(dict.fromkeys(spec.name for spec, _ in _found()))


def connect() -> Puck:
    """The first attached device. Raises ConnectionError where there is none or it may not be read."""
    found = _found()
    if not found:
        raise ConnectionError(f"No SpaceMouse is attached. If one is: {_UDEV}.")
    library, hid = importlib.import_module("pyspacemouse"), importlib.import_module("easyhid")
    spec = library.apply_axis_convention(found[0][0], library.AxisConvention.ROS)
    devices = [device for other, device in found if other is found[0][0]]
    interfaces = [library.SpaceMouseDevice(spec, device) for device in devices]
    for interface, device in zip(interfaces, devices, strict=True):
        try:
            interface.open()
        except RuntimeError as error:
            raise ConnectionError(f"The {spec.name} is attached but may not be read: {_UDEV}.") from error
        device.set_nonblocking(True)
    return _HidPuck(interfaces, hid.HIDException)
