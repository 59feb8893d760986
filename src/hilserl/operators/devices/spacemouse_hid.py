"""A SpaceMouse as a device: its reports, read through pyspacemouse and HIDAPI."""

import importlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, STILL

_BUTTONS = ((1, 0), (1, 1))
"""Byte and bit of the two buttons in a report. Models without a left and a right one have MENU and FIT, or 1 and 2."""
_INSTALL = 'pip install "hilserl[spacemouse]"'
_HIDAPI = "sudo apt-get install libhidapi-hidraw0"
_UDEV = "add the udev rule of docs/devices.md and plug it in again"


@dataclass(frozen=True)
class SpaceMouseState:
    """One report of a puck."""

    axes: tuple[float, ...] = STILL
    """One number in about [-1, 1] for each of AXES, which are those of pyspacemouse's convention ROS (REP 103)."""
    buttons: tuple[bool, ...] = (False, False)
    """The left and the right one: held."""


class SpaceMouseHid(Protocol):
    """An open device."""

    def read(self) -> SpaceMouseState | None:
        """The next report that is queued, None where there is none. Never waits.

        Raises ConnectionError when the device is gone.
        """
        ...

    def close(self) -> None: ...


class _HidSpaceMouse:
    """All interfaces of one device.

    The Universal Receiver has several under one name; which of them speaks depends on the puck (PySpaceMouse issue 49).
    """

    def __init__(self, interfaces: Sequence[Any], failure: type[Exception]) -> None:
        self._interfaces, self._failure = interfaces, failure
        self._heard = [-1.0] * len(interfaces)
        specs = interfaces[0].info.button_specs
        self._buttons = [next((i for i, s in enumerate(specs) if (s.byte, s.bit) == at), None) for at in _BUTTONS]

    def read(self) -> SpaceMouseState | None:
        for index, interface in enumerate(self._interfaces):
            try:
                state = interface.read()
            except self._failure as error:
                raise ConnectionError(f"The SpaceMouse is gone: {error}") from error
            if state.t != self._heard[index]:  # it is the time of the last report
                self._heard[index] = state.t
                held = tuple(i is not None and bool(state.buttons[i]) for i in self._buttons)
                return SpaceMouseState(tuple(getattr(state, axis) for axis in AXES), held)
        return None

    def close(self) -> None:
        for interface in self._interfaces:
            interface.close()


@dataclass(frozen=True)
class _Device:
    """All that one attached device is to HIDAPI."""

    spec: Any
    """pyspacemouse's description."""
    interfaces: tuple[Any, ...]

    @property
    def paths(self) -> set[str]:
        return {interface.path for interface in self.interfaces}


def _attached() -> list[_Device]:
    """The attached devices in the order in which they were attached. Raises HilserlError without the libraries."""
    try:
        library, hid = importlib.import_module("pyspacemouse"), importlib.import_module("easyhid")
    except ModuleNotFoundError as error:
        raise HilserlError(f"pyspacemouse is not installed: {_INSTALL}") from error
    try:
        found = {interface.path: interface for interface in hid.Enumeration().find()}
    except AttributeError as error:  # what easyhid comes to without the library
        raise HilserlError(f"The library HIDAPI is not installed: {_HIDAPI}") from error
    specs = {(spec.vendor_id, spec.product_id): spec for spec in library.get_device_specs().values()}
    devices: list[_Device] = []
    # The system numbers interfaces as they come, those of one device one after another; shorter is a smaller number.
    for path in sorted(found, key=lambda path: (len(path), path)):
        interface = found[path]
        spec = specs.get((interface.vendor_id, interface.product_id))
        if spec is None:
            continue
        last = devices[-1] if devices else None
        # Two devices of one model have the same interfaces: one that was there already is another device's.
        known = {other.interface_number for other in last.interfaces} if last else set()
        if last and last.spec is spec and interface.interface_number not in known:
            devices[-1] = _Device(spec, (*last.interfaces, interface))
        else:
            devices.append(_Device(spec, (interface,)))
    return devices


def spacemice() -> list[str]:
    """The names of the attached devices. Raises HilserlError where pyspacemouse or HIDAPI is missing."""
    return [device.spec.name for device in _attached()]


class SpaceMousePool:
    """The attached devices, each for one hand at most: hands are numbered, and the first free device is the first
    empty hand's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[int, set[str]] = {}

    def connect(self, hand: int) -> SpaceMouseHid:
        """A hand's device. Raises ConnectionError where none is left for it or it may not be read."""
        with self._lock:
            devices = _attached()
            present = {path for device in devices for path in device.paths}
            others = {other: paths for other, paths in self._held.items() if other != hand and paths <= present}
            free = [device for device in devices if not any(device.paths & paths for paths in others.values())]
            first = hand - sum(other < hand for other in others)
            if first >= len(free):
                raise ConnectionError(f"No SpaceMouse is attached that is free. If one is: {_UDEV}.")
            device = free[first]
            puck = _opened(device)
            self._held[hand] = device.paths
            return puck


def _opened(device: _Device) -> SpaceMouseHid:
    library, hid = importlib.import_module("pyspacemouse"), importlib.import_module("easyhid")
    spec = library.apply_axis_convention(device.spec, library.AxisConvention.ROS)
    interfaces = [library.SpaceMouseDevice(spec, interface) for interface in device.interfaces]
    for opening, interface in zip(interfaces, device.interfaces, strict=True):
        try:
            opening.open()
        except RuntimeError as error:
            raise ConnectionError(f"The {spec.name} is attached but may not be read: {_UDEV}.") from error
        interface.set_nonblocking(True)
    return _HidSpaceMouse(interfaces, hid.HIDException)
