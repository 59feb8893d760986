"""Input devices without hardware, and the kinematics that they drive."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec
import numpy as np

from hilserl.data.spec import ActionLayout
from hilserl.operators.action_axes import AXES, arm_axes
from hilserl.operators.devices.axis_mapping import ControlMapping
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.gamepad import Gamepad, GamepadConfig, GamepadState
from hilserl.operators.devices.spacemouse import SpaceMouse, SpaceMouseConfig
from hilserl.operators.devices.spacemouse_hid import SpaceMouseState
from hilserl.operators.phone.config import PhoneConfig
from hilserl.operators.phone.messages import PhoneMessage
from hilserl.operators.phone.phone_input import PhoneInput
from tests.support.layouts import SEVEN

CENTRED = {"LEFTX": 0.0, "LEFTY": 0.0, "RIGHTX": 0.0, "RIGHTY": 0.0}


@dataclass
class ScriptedDevice:
    """A device whose reading the test sets; a command is read once."""

    name: str
    arm: str | None = None
    now: Reading = field(default_factory=lambda: Reading(True))

    def read(self) -> Reading:
        reading, self.now = self.now, replace(self.now, commands=())
        return reading

    def close(self) -> None:
        """Nothing is open."""


class ConstantDevice:
    """A device with one reading."""

    def __init__(self, reading: Reading) -> None:
        self.name = "device"
        self.arm: str | None = None
        self.reading = reading

    def read(self) -> Reading:
        return self.reading

    def close(self) -> None:
        """Nothing is open."""


class FakeTeleoperation:
    """Kinematics whose actions are the world's axes.

    A goal is the action that leads to it.
    """

    def __init__(self, layout: ActionLayout) -> None:
        self._layout = layout
        self.tcp_positions_m = {arm.name: np.zeros(3) for arm in arm_axes(layout)}
        self.goals: list[tuple[tuple[float, float, float], str]] = []
        """Goals in the order of the requests, with the arms' names."""

    def world_to_action(self, motion: tuple[float, ...]) -> tuple[float, ...]:
        return motion

    def motion_towards(self, goal_m: tuple[float, float, float], arm: str = "") -> tuple[float, ...]:
        self.goals.append((goal_m, arm))
        (led,) = (axes for axes in arm_axes(self._layout) if axes.name == arm)
        return tuple(led.action((*goal_m, 0.0, 0.0, 0.0)))


class FakeGamepad:
    """A gamepad whose sticks and buttons the test moves.

    Like SDL, it reports each press once.
    """

    def __init__(self) -> None:
        self.axes, self.attached = dict(CENTRED), True
        self.held: set[str] = set()
        self.pressed: list[str] = []

    def press(self, button: str) -> None:
        self.held.add(button)
        self.pressed.append(button)

    def poll(self) -> GamepadState | None:
        pressed, self.pressed = tuple(self.pressed), []
        return GamepadState(dict(self.axes), frozenset(self.held), pressed) if self.attached else None

    def close(self) -> None:
        self.attached = False


class FakeSpaceMouse:
    """A SpaceMouse that sends the reports that the test queues."""

    def __init__(self) -> None:
        self.reports: deque[SpaceMouseState] = deque()
        self.attached, self.closed = True, 0

    def send(self, left: bool = False, right: bool = False, **axes: float) -> None:
        self.reports.append(SpaceMouseState(tuple(axes.get(axis, 0.0) for axis in AXES), (left, right)))

    def connect(self) -> "FakeSpaceMouse":
        if not self.attached:
            raise ConnectionError("No SpaceMouse is attached.")
        return self

    def read(self) -> SpaceMouseState | None:
        self.connect()
        return self.reports.popleft() if self.reports else None

    def close(self) -> None:
        self.closed += 1


class Clock:
    """Time that the test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def make_gamepad(layout: ActionLayout = SEVEN, config: GamepadConfig | None = None) -> tuple[FakeGamepad, Gamepad]:
    """Return a fake gamepad and the input device that reads it."""
    fake = FakeGamepad()
    return fake, Gamepad(fake, layout, config or GamepadConfig())


def make_spacemouse(
    layout: ActionLayout = SEVEN, config: SpaceMouseConfig | None = None
) -> tuple[FakeSpaceMouse, SpaceMouse, Clock]:
    """Return a fake SpaceMouse, the device that reads it, and its clock."""
    fake, clock = FakeSpaceMouse(), Clock()
    return fake, SpaceMouse(fake.connect, layout, config or SpaceMouseConfig(), clock), clock


def gamepad_reading(control: ControlMapping, layout: ActionLayout, amount: float = 1.0) -> Reading:
    """Return the reading of a gamepad whose control is pushed or pressed."""
    fake, device = make_gamepad(layout)
    dpad = {"DPADX": ("DPAD_LEFT", "DPAD_RIGHT"), "DPADY": ("DPAD_UP", "DPAD_DOWN")}
    if control.button is not None:
        fake.press(control.button)
    elif control.axis is not None:
        axis, way = control.axis
        if axis in dpad:
            fake.held.add(dpad[axis][int(way > 0)])
        else:
            fake.axes[axis] = way * amount
    return device.read()


def spacemouse_reading(control: ControlMapping, layout: ActionLayout, amount: float = 1.0) -> Reading:
    """Return the reading of a SpaceMouse whose control is pushed or pressed."""
    fake, device, _ = make_spacemouse(layout)
    if control.button is not None:
        fake.send(left=control.button in ("left", "both"), right=control.button in ("right", "both"))
        fake.send()
    elif control.axis is not None:
        axis, way = control.axis
        fake.send(False, False, **{axis: way * amount})
    device.poll()
    return device.read()


def phone_reading(control: ControlMapping, layout: ActionLayout, amount: float = 1.0) -> Reading:
    """Return the reading of a phone whose pad is pushed or whose button is pressed."""
    page = PhoneInput(layout, PhoneConfig())
    presses = () if control.button is None else (control.button,)
    axis, way = control.axis or ("", 0.0)
    pads = tuple(way * amount if axis == name else 0.0 for name in ("RIGHT", "UP", "LIFT"))
    page.hear(msgspec.convert({"pads": pads, "presses": presses}, PhoneMessage))
    return page.read()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until a condition holds, 10 s at most."""
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "nothing happened for 10 s"
        time.sleep(0.001)
