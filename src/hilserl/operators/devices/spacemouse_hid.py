"""SpaceMouse reports, read through pyspacemouse and HIDAPI."""

import importlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, STILL

_BUTTONS = ((1, 0), (1, 1))
"""Byte and bit of the two buttons in a report.

Models without a left and a right button have MENU and FIT, or 1 and 2.
"""
_INSTALL = 'pip install "hilserl[spacemouse]"'
_HIDAPI = "sudo apt-get install libhidapi-hidraw0"
_UDEV = "add the udev rule of docs/devices.md and plug the SpaceMouse in again"


@dataclass(frozen=True)
class SpaceMouseState:
    """One report of a SpaceMouse."""

    axes: tuple[float, ...] = STILL
    """One number in about [-1, 1] for each of `AXES`.

    The signs follow pyspacemouse's axis convention ROS (REP 103).
    """
    buttons: tuple[bool, ...] = (False, False)
    """True for each button that is held: left, right."""


class SpaceMouseHid(Protocol):
    """An open SpaceMouse."""

    def read(self) -> SpaceMouseState | None:
        """Return the next queued report; None if the queue is empty.

        Raises:
            ConnectionError: the device is gone.
        """
        ...

    def close(self) -> None:
        """Release the device."""
        ...


class PySpaceMouse:
    """An open SpaceMouse with all its HID interfaces.

    The Universal Receiver has several interfaces under one name; the model of the SpaceMouse decides which one sends
    (PySpaceMouse issue 49).

    Args:
        interfaces: pyspacemouse's open devices.
        failure: the HID library's exception for a device that is gone.
    """

    def __init__(self, interfaces: Sequence[Any], failure: type[Exception]) -> None:
        self._interfaces, self._failure = interfaces, failure
        self._report_times = [-1.0] * len(interfaces)
        specs = interfaces[0].info.button_specs
        self._buttons = [next((i for i, s in enumerate(specs) if (s.byte, s.bit) == at), None) for at in _BUTTONS]

    def read(self) -> SpaceMouseState | None:
        """Return the next queued report; None if the queue is empty."""
        for index, interface in enumerate(self._interfaces):
            try:
                state = interface.read()
            except self._failure as error:
                raise ConnectionError(f"The SpaceMouse is gone: {error}") from error
            if state.t != self._report_times[index]:  # t is the time of the last report
                self._report_times[index] = state.t
                held = tuple(i is not None and bool(state.buttons[i]) for i in self._buttons)
                return SpaceMouseState(tuple(getattr(state, axis) for axis in AXES), held)
        return None

    def close(self) -> None:
        """Release the device."""
        for interface in self._interfaces:
            interface.close()


@dataclass(frozen=True)
class _AttachedSpaceMouse:
    """An attached SpaceMouse as HIDAPI lists it."""

    spec: Any
    """pyspacemouse's description of the model."""
    interfaces: tuple[Any, ...]

    @property
    def paths(self) -> set[str]:
        """The device files of the interfaces."""
        return {interface.path for interface in self.interfaces}


def _find_attached() -> list[_AttachedSpaceMouse]:
    """Return the attached devices in the order of attachment."""
    try:
        library, easyhid = importlib.import_module("pyspacemouse"), importlib.import_module("easyhid")
    except ModuleNotFoundError as error:
        raise HilserlError(f"pyspacemouse is not installed: {_INSTALL}") from error
    try:
        found = {interface.path: interface for interface in easyhid.Enumeration().find()}
    except AttributeError as error:  # easyhid fails in this way without the library
        raise HilserlError(f"The library HIDAPI is not installed: {_HIDAPI}") from error
    specs = {(spec.vendor_id, spec.product_id): spec for spec in library.get_device_specs().values()}
    devices: list[_AttachedSpaceMouse] = []
    # The system numbers interfaces in the order of attachment, those of one device in sequence. A shorter path has a
    # smaller number.
    for path in sorted(found, key=lambda path: (len(path), path)):
        interface = found[path]
        spec = specs.get((interface.vendor_id, interface.product_id))
        if spec is None:
            continue
        last = devices[-1] if devices else None
        # Two devices of one model have the same interface numbers: a number that repeats belongs to the next device.
        known = {other.interface_number for other in last.interfaces} if last else set()
        if last and last.spec is spec and interface.interface_number not in known:
            devices[-1] = _AttachedSpaceMouse(spec, (*last.interfaces, interface))
        else:
            devices.append(_AttachedSpaceMouse(spec, (interface,)))
    return devices


def attached_spacemice() -> list[str]:
    """Return the names of the attached SpaceMice.

    Raises:
        HilserlError: pyspacemouse or HIDAPI is missing.
    """
    return [device.spec.name for device in _find_attached()]


class SpaceMousePool:
    """Assignment of attached SpaceMice to numbered slots.

    A slot holds one device at most. The first empty slot gets the first free device.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: dict[int, set[str]] = {}

    def connect(self, slot: int) -> SpaceMouseHid:
        """Open the device of a slot.

        Raises:
            ConnectionError: no free device is attached for the slot, or the device cannot be read.
        """
        with self._lock:
            devices = _find_attached()
            present = {path for device in devices for path in device.paths}
            others = {other: paths for other, paths in self._paths.items() if other != slot and paths <= present}
            free = [device for device in devices if not any(device.paths & paths for paths in others.values())]
            first = slot - sum(other < slot for other in others)
            if first >= len(free):
                raise ConnectionError(f"No SpaceMouse is attached and free. If one is attached: {_UDEV}.")
            device = free[first]
            opened = _open(device)
            self._paths[slot] = device.paths
            return opened


def _open(device: _AttachedSpaceMouse) -> SpaceMouseHid:
    library, easyhid = importlib.import_module("pyspacemouse"), importlib.import_module("easyhid")
    spec = library.apply_axis_convention(device.spec, library.AxisConvention.ROS)
    interfaces = [library.SpaceMouseDevice(spec, interface) for interface in device.interfaces]
    for opening, interface in zip(interfaces, device.interfaces, strict=True):
        try:
            opening.open()
        except RuntimeError as error:
            raise ConnectionError(f"The {spec.name} is attached but cannot be read: {_UDEV}.") from error
        interface.set_nonblocking(True)
    return PySpaceMouse(interfaces, easyhid.HIDException)
