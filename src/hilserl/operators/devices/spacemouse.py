"""SpaceMouse input."""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, arm_axes
from hilserl.operators.devices.axis_mapping import ControlMapping, axis_motion, check_deflection, deflection
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.devices.spacemouse_hid import SpaceMouseHid, SpaceMousePool, SpaceMouseState, attached_spacemice

CONTROLS = (
    ControlMapping("push away", axis=("x", 1.0), moves=("x", 1.0)),
    ControlMapping("pull near", axis=("x", -1.0), moves=("x", -1.0)),
    ControlMapping("push left", axis=("y", 1.0), moves=("y", 1.0)),
    ControlMapping("push right", axis=("y", -1.0), moves=("y", -1.0)),
    ControlMapping("lift", axis=("z", 1.0), moves=("z", 1.0)),
    ControlMapping("press down", axis=("z", -1.0), moves=("z", -1.0)),
    ControlMapping("twist anticlockwise", axis=("yaw", 1.0), moves=("yaw", 1.0)),
    ControlMapping("twist clockwise", axis=("yaw", -1.0), moves=("yaw", -1.0)),
    ControlMapping("tilt away", axis=("pitch", 1.0), moves=("pitch", 1.0)),
    ControlMapping("tilt near", axis=("pitch", -1.0), moves=("pitch", -1.0)),
    ControlMapping("tilt right", axis=("roll", 1.0), moves=("roll", 1.0)),
    ControlMapping("tilt left", axis=("roll", -1.0), moves=("roll", -1.0)),
    ControlMapping("left button", button="left", command=Command.GRIPPER),
    ControlMapping("right button", button="right", command=Command.TAKEOVER),
    ControlMapping("both buttons", button="both", command=Command.SWITCH_ARM),
)
"""Map of the SpaceMouse; documentation and tests read it."""

_NAMES = {(True, False): "left", (False, True): "right", (True, True): "both"}
_COMMANDS = {control.button: control.command for control in CONTROLS if control.command is not None}
_PERIOD_S = 0.01
_RETRY_S = 1.0


@dataclass(frozen=True)
class SpaceMouseConfig:
    """Settings of a SpaceMouse."""

    dead_zone: float = 0.1
    """Push or turn without effect, as a part of full deflection."""
    scale: float = 1.0
    """Motion at a full push, as a part of a full action."""
    rotation_scale: float = 1.0
    """Motion at a full turn, as a part of a full action."""

    def __post_init__(self) -> None:
        check_deflection(self.dead_zone, scale=self.scale, rotation_scale=self.rotation_scale)


class SpaceMouse:
    """A SpaceMouse as an input device.

    A moving SpaceMouse sends many reports in a control step. Linux keeps 64 of them and drops the later ones: a program
    that reads slowly, or not at all during a reset, drives by old reports and may never see the release. Therefore
    `start` reads them in a thread as they arrive.

    A button counts when it goes down. Where both buttons together have a meaning (several arms, and this device drives
    the chosen one), they count when the last of them is released.

    Args:
        connect: opens the device; raises ConnectionError if no device is attached.
        layout: layout of the actions.
        config: dead zone and scales.
        clock: monotonic time in seconds.
        arm: name of the only arm that the device drives; None for the chosen arm.
    """

    def __init__(
        self,
        connect: Callable[[], SpaceMouseHid],
        layout: ActionLayout,
        config: SpaceMouseConfig,
        clock: Callable[[], float] = time.monotonic,
        arm: str | None = None,
    ) -> None:
        self.name, self.arm = "SpaceMouse" if arm is None else f"{arm} SpaceMouse", arm
        self._chords = arm is None and len(arm_axes(layout)) > 1
        self._chord = (False, False)
        self._connect, self._layout, self._config, self._clock = connect, layout, config, clock
        self._hid: SpaceMouseHid | None = connect()
        self._tried_s = clock()
        self._lock = threading.Lock()
        self._state = SpaceMouseState()
        self._commands: list[Command] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="SpaceMouse", daemon=True)

    def start(self) -> None:
        """Read reports in a thread until `close`."""
        self._thread.start()

    def poll(self) -> None:
        """Read every queued report; look once a second for a lost device."""
        if self._hid is None and self._clock() - self._tried_s < _RETRY_S:
            return
        try:
            if self._hid is None:
                self._tried_s = self._clock()
                self._hid = self._connect()
            while (state := self._hid.read()) is not None:
                self._apply(state)
        except ConnectionError:
            self._disconnect()

    def read(self) -> Reading:
        """Return the present state, without waiting."""
        with self._lock:
            state, commands = self._state, tuple(self._commands)
            self._commands.clear()
            present = self._hid is not None
        if not present:
            return Reading(present=False)
        push = deflection(state.axes[:3], self._config.dead_zone, self._config.scale)
        turn = deflection(state.axes[3:], self._config.dead_zone, self._config.rotation_scale)
        axes = dict(zip(AXES, push + turn, strict=True))
        return Reading(present=True, motion=axis_motion(CONTROLS, axes, self._layout), commands=commands)

    def close(self) -> None:
        """Stop the thread and release the device."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._disconnect()

    def _run(self) -> None:
        try:
            while not self._closing.wait(_PERIOD_S):
                self.poll()
        finally:
            self._disconnect()  # also after a failure: a device that is no longer read must not go on driving

    def _apply(self, state: SpaceMouseState) -> None:
        with self._lock:
            before, self._state = self._state, state
            if not self._chords:
                for name, was, held in zip(("left", "right"), before.buttons, state.buttons, strict=True):
                    self._commands += [_COMMANDS[name]] if held and not was else []
                return
            left, right = (was or held for was, held in zip(self._chord, state.buttons, strict=True))
            if any(state.buttons):
                self._chord = left, right
            elif left or right:
                self._commands.append(_COMMANDS[_NAMES[left, right]])
                self._chord = False, False

    def _disconnect(self) -> None:
        with self._lock:
            hid, self._hid = self._hid, None
            self._state, self._chord = SpaceMouseState(), (False, False)
            self._commands.clear()
        if hid is not None:
            hid.close()


def open_spacemice(layout: ActionLayout, config: SpaceMouseConfig) -> tuple[SpaceMouse, ...]:
    """Open the attached SpaceMice and start to read them.

    With several arms and several devices, each arm gets one device in the order of attachment. Otherwise one device
    drives the chosen arm.

    Raises:
        HilserlError: pyspacemouse or HIDAPI is missing, no device is attached, or a device cannot be read.
    """
    arms: list[str | None] = [arm.name for arm in arm_axes(layout)]
    count = min(len(attached_spacemice()), len(arms))
    pool, mice = SpaceMousePool(), []
    try:
        for slot, arm in enumerate(arms[:count] if count > 1 else [None]):
            mice.append(SpaceMouse(functools.partial(pool.connect, slot), layout, config, arm=arm))
    except ConnectionError as error:
        for mouse in mice:
            mouse.close()
        raise HilserlError(str(error)) from error
    for mouse in mice:
        mouse.start()
    return tuple(mice)
