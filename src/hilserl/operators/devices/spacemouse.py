"""A SpaceMouse as a source of motions and commands."""

import functools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, arms_of
from hilserl.operators.devices.axis_mapping import AxisControl, check_stick, deflection, motion
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.devices.spacemouse_hid import SpaceMouseHid, SpaceMousePool, SpaceMouseState, spacemice

CONTROLS = (
    AxisControl("push away", axis=("x", 1.0), moves=("x", 1.0)),
    AxisControl("pull near", axis=("x", -1.0), moves=("x", -1.0)),
    AxisControl("push left", axis=("y", 1.0), moves=("y", 1.0)),
    AxisControl("push right", axis=("y", -1.0), moves=("y", -1.0)),
    AxisControl("lift", axis=("z", 1.0), moves=("z", 1.0)),
    AxisControl("press down", axis=("z", -1.0), moves=("z", -1.0)),
    AxisControl("twist anticlockwise", axis=("yaw", 1.0), moves=("yaw", 1.0)),
    AxisControl("twist clockwise", axis=("yaw", -1.0), moves=("yaw", -1.0)),
    AxisControl("tilt away", axis=("pitch", 1.0), moves=("pitch", 1.0)),
    AxisControl("tilt near", axis=("pitch", -1.0), moves=("pitch", -1.0)),
    AxisControl("tilt right", axis=("roll", 1.0), moves=("roll", 1.0)),
    AxisControl("tilt left", axis=("roll", -1.0), moves=("roll", -1.0)),
    AxisControl("left button", button="left", command=Command.GRIPPER),
    AxisControl("right button", button="right", command=Command.TAKEOVER),
    AxisControl("both buttons", button="both", command=Command.SWITCH_ARM),
)
"""The one map of the puck; the documentation and the tests read it from here."""

_NAMES = {(True, False): "left", (False, True): "right", (True, True): "both"}
_COMMANDS = {control.button: control.command for control in CONTROLS if control.command is not None}
_PERIOD_S = 0.01
_RETRY_S = 1.0


@dataclass(frozen=True)
class SpaceMouseConfig:
    """How a puck is read."""

    dead_zone: float = 0.1
    """How far the puck may be pushed, or turned, and mean nothing, as a part of full deflection."""
    scale: float = 1.0
    """What a full push asks for, as a part of a full action."""
    rotation_scale: float = 1.0
    """What a full turn asks for, as a part of a full action."""

    def __post_init__(self) -> None:
        check_stick(self.dead_zone, scale=self.scale, rotation_scale=self.rotation_scale)


class SpaceMouse:
    """A SpaceMouse.

    A moving puck sends many reports in a control step, and Linux keeps 64 of them and drops what comes after: whoever
    is slow to read them, or does not during a reset, steers by old ones and may never hear that the puck was let go.
    So `start` has a thread take them all in as they come.

    A button counts when it goes down. Where both together mean something, as there are several arms and this device
    drives whichever is chosen, they count when the last of them is let go.

    Args:
        connect: opens the device; raises ConnectionError where there is none.
        clock: seconds, monotonic.
        arm: the name of the only arm that it drives; None is whichever the person has chosen.
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
        self._chords = arm is None and len(arms_of(layout)) > 1
        self._chord = (False, False)
        self._connect, self._layout, self._config, self._clock = connect, layout, config, clock
        self._puck: SpaceMouseHid | None = connect()
        self._tried = clock()
        self._lock = threading.Lock()
        self._state = SpaceMouseState()
        self._commands: list[Command] = []
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="SpaceMouse", daemon=True)

    def start(self) -> None:
        """Takes reports in from now on, until `close`."""
        self._thread.start()

    def poll(self) -> None:
        """Takes in every report that is queued, and looks once a second for a device that was lost."""
        if self._puck is None and self._clock() - self._tried < _RETRY_S:
            return
        try:
            if self._puck is None:
                self._tried = self._clock()
                self._puck = self._connect()
            while (state := self._puck.read()) is not None:
                self._take(state)
        except ConnectionError:
            self._lose()

    def read(self) -> Reading:
        with self._lock:
            state, commands = self._state, tuple(self._commands)
            self._commands.clear()
            present = self._puck is not None
        if not present:
            return Reading(present=False)
        push = deflection(state.axes[:3], self._config.dead_zone, self._config.scale)
        turn = deflection(state.axes[3:], self._config.dead_zone, self._config.rotation_scale)
        axes = dict(zip(AXES, push + turn, strict=True))
        return Reading(present=True, motion=motion(CONTROLS, axes, self._layout), commands=commands)

    def close(self) -> None:
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self._lose()

    def _run(self) -> None:
        try:
            while not self._closing.wait(_PERIOD_S):
                self.poll()
        finally:
            self._lose()  # also when something fails: a puck that nobody listens to must not go on steering

    def _take(self, state: SpaceMouseState) -> None:
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

    def _lose(self) -> None:
        with self._lock:
            puck, self._puck = self._puck, None
            self._state, self._chord = SpaceMouseState(), (False, False)
            self._commands.clear()
        if puck is not None:
            puck.close()


def open_spacemice(layout: ActionLayout, config: SpaceMouseConfig) -> tuple[SpaceMouse, ...]:
    """The attached SpaceMice, whose reports are taken in from now on: one, which drives whichever arm is chosen, or,
    where there are several arms and several devices, one for each arm in the order in which they were attached.

    Raises HilserlError where pyspacemouse or HIDAPI is missing, or no device is attached, or one may not be read.
    """
    arms: list[str | None] = [arm.name for arm in arms_of(layout)]
    count = min(len(spacemice()), len(arms))
    pucks, mice = SpaceMousePool(), []
    try:
        for hand, arm in enumerate(arms[:count] if count > 1 else [None]):
            mice.append(SpaceMouse(functools.partial(pucks.connect, hand), layout, config, arm=arm))
    except ConnectionError as error:
        for mouse in mice:
            mouse.close()
        raise HilserlError(str(error)) from error
    for mouse in mice:
        mouse.start()
    return tuple(mice)
