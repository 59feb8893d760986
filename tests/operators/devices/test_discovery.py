"""Gamepad and SpaceMouse, against fakes: what they move, what they ask for, and what happens when they are gone."""

import itertools
import math
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hilserl.cli import doctor
from hilserl.data.spec import ActionLayout
from hilserl.errors import HilserlError
from hilserl.operators.action_axes import AXES, arm_axes, driven_axes
from hilserl.operators.devices import discovery as devices
from hilserl.operators.devices import gamepad, spacemouse
from hilserl.operators.devices import key_map as keys
from hilserl.operators.devices.axis_mapping import ControlMapping, deflection
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.gamepad import Gamepad, GamepadConfig, GamepadState, SdlGamepad, open_gamepad
from hilserl.operators.devices.key_map import Command
from hilserl.operators.devices.spacemouse import SpaceMouse, SpaceMouseConfig, open_spacemice
from hilserl.operators.devices.spacemouse_hid import PySpaceMouse, SpaceMouseState
from hilserl.operators.human import HumanOperator, Role
from tests.support.layouts import ACTION, LAYOUTS, SEVEN, TWO

CENTRED = {"LEFTX": 0.0, "LEFTY": 0.0, "RIGHTX": 0.0, "RIGHTY": 0.0}


class FakePad:
    """A pad whose sticks and buttons the test moves; like SDL it tells each press once."""

    def __init__(self) -> None:
        self.axes, self.held, self.pressed, self.attached = dict(CENTRED), set(), [], True

    def press(self, button: str) -> None:
        self.held.add(button)
        self.pressed.append(button)

    def poll(self) -> GamepadState | None:
        pressed, self.pressed = tuple(self.pressed), []
        return GamepadState(dict(self.axes), frozenset(self.held), pressed) if self.attached else None

    def close(self) -> None:
        self.attached = False


class FakeSpaceMouse:
    """A puck that sends what the test queues; axes stay as they were last said."""

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


def a_pad(layout: ActionLayout = SEVEN, **settings) -> tuple[FakePad, Gamepad]:
    pad = FakePad()
    return pad, Gamepad(pad, layout, GamepadConfig(**settings))


def a_mouse(layout: ActionLayout = SEVEN, **settings) -> tuple[FakeSpaceMouse, SpaceMouse, Clock]:
    puck, clock = FakeSpaceMouse(), Clock()
    return puck, SpaceMouse(puck.connect, layout, SpaceMouseConfig(**settings), clock), clock


def pad_reading(control: ControlMapping, layout: ActionLayout, amount: float = 1.0) -> Reading:
    """What a pad says while it does what a row of its map says."""
    pad, source = a_pad(layout)
    dpad = {"DPADX": ("DPAD_LEFT", "DPAD_RIGHT"), "DPADY": ("DPAD_UP", "DPAD_DOWN")}
    if control.button is not None:
        pad.press(control.button)
    elif control.axis is not None:
        axis, way = control.axis
        if axis in dpad:
            pad.held.add(dpad[axis][int(way > 0)])
        else:
            pad.axes[axis] = way * amount
    return source.read()


def puck_reading(control: ControlMapping, layout: ActionLayout, amount: float = 1.0) -> Reading:
    puck, source, _ = a_mouse(layout)
    if control.button is not None:
        puck.send(left=control.button in ("left", "both"), right=control.button in ("right", "both"))
        puck.send()
    elif control.axis is not None:
        puck.send(**{control.axis[0]: control.axis[1] * amount})
    source.poll()
    return source.read()


ROWS = [(pad_reading, c) for c in gamepad.CONTROLS] + [(puck_reading, c) for c in spacemouse.CONTROLS]
MOVING = [(say, c) for say, c in ROWS if c.moves is not None]


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "nothing happened for 10 s"
        time.sleep(0.001)


def name_of(value: object) -> str | None:
    return value.label if isinstance(value, ControlMapping) else None


@pytest.mark.parametrize("dead_zone", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_the_dead_zone_ends_without_a_jump_and_more_push_is_more_motion(dead_zone: float, scale: float) -> None:
    pushes = np.linspace(0, 1, 2001)
    speeds = np.array([deflection((push, 0.0), dead_zone, scale)[0] for push in pushes])
    assert (speeds[pushes <= dead_zone] == 0).all()
    steps = np.diff(speeds)
    assert (steps >= 0).all()
    assert steps.max() <= scale / (1 - dead_zone) / 2000 + 1e-9
    assert (steps[pushes[:-1] > dead_zone] > 0).all()
    assert speeds[-1] == pytest.approx(scale)


def test_a_stick_is_round() -> None:
    for angle in np.linspace(0, 2 * math.pi, 73):
        way = np.array([math.cos(angle), math.sin(angle)])
        for length, expected in ((0.1, 0.0), (0.55, 0.5 * 0.8), (1.0, 0.8), (math.sqrt(2), 0.8)):
            asked = deflection(tuple(length * way), 0.1, 0.8)
            assert np.allclose(asked, expected * way, atol=1e-9)
            assert np.allclose(deflection(tuple(-length * way), 0.1, 0.8), -np.array(asked)), "opposite push"


def test_a_diagonal_is_no_longer_than_a_straight_push() -> None:
    pad, source = a_pad()
    pad.axes = dict.fromkeys(CENTRED, -1.0)
    pad.held = {"DPAD_UP", "DPAD_RIGHT"}
    motion = source.read().motion
    assert np.allclose(np.abs(motion[:2]), math.sqrt(0.5))
    assert np.linalg.norm([motion[2], motion[5]]) == pytest.approx(1)
    assert np.linalg.norm(motion[3:5]) == pytest.approx(1)
    puck, mouse, _ = a_mouse()
    puck.send(**dict.fromkeys(AXES, 1.2))
    mouse.poll()
    motion = mouse.read().motion
    assert np.linalg.norm(motion[:3]) == pytest.approx(1)
    assert np.linalg.norm(motion[3:]) == pytest.approx(1)


def test_no_number_leaves_its_range() -> None:
    for push in itertools.product((-1.0, -0.3, 0.0, 0.05, 1.0), repeat=4):
        pad, source = a_pad()
        pad.axes = dict(zip(CENTRED, push, strict=True))
        assert np.abs(source.read().motion).max() <= 1


@pytest.mark.parametrize(("say", "control"), MOVING, ids=name_of)
def test_each_way_moves_what_its_key_moves(say, control: ControlMapping) -> None:
    key = next(key for key in keys.KEYS if key.moves == control.moves)
    by_key = np.array(keys.key_motion([key.name, "F"], SEVEN))
    full, half = (np.array(say(control, SEVEN, amount).motion) for amount in (1.0, 0.5))
    assert np.allclose(full, by_key)
    if not control.label.startswith("d-pad"):
        assert np.allclose(half, by_key * 0.4 / 0.9)
    assert control.meaning == key.meaning


@pytest.mark.parametrize(("say", "control"), MOVING, ids=name_of)
def test_motions_that_a_task_lacks_are_left_out(say, control: ControlMapping) -> None:
    assert control.moves is not None
    for layout in LAYOUTS.values():
        motion = say(control, layout).motion
        assert len(motion) == len(AXES)
        assert any(motion) == (control.moves[0] in driven_axes(layout))
        for arm in arm_axes(layout):
            assert np.count_nonzero(arm.action(motion)) == (control.moves[0] in arm.axes)


@pytest.mark.parametrize("device", [gamepad, spacemouse], ids=lambda device: device.__name__)
def test_the_documentation_has_every_row_of_the_map(device) -> None:
    text = (Path(__file__).parents[3] / "docs" / "devices.md").read_text()
    for control in device.CONTROLS:
        assert f"| {control.label} | {control.meaning} |" in text


@pytest.mark.parametrize(("say", "control"), [row for row in ROWS if row[1].moves is None], ids=name_of)
def test_each_button_asks_for_what_the_map_says(say, control: ControlMapping) -> None:
    reading = say(control, TWO)
    assert reading.commands == ((control.command,) if control.command else ())
    assert reading.success == (control.command is None), "the button that is held"
    assert not reading.moves
    assert control.meaning in {key.meaning for key in keys.keys_for(TWO, labels=True)}


def test_scales_and_dead_zone_are_the_configs() -> None:
    pad, source = a_pad(dead_zone=0.5, scale=0.4)
    pad.axes["LEFTY"] = -0.5
    assert not source.read().moves
    pad.axes["LEFTY"] = -0.75
    assert source.read().motion[0] == pytest.approx(0.2)
    puck, mouse, _ = a_mouse(dead_zone=0.0, scale=0.5, rotation_scale=0.25)
    puck.send(x=1.0, yaw=1.0)
    mouse.poll()
    assert mouse.read().motion == pytest.approx((0.5, 0, 0, 0, 0, 0.25))


def test_a_held_button_counts_once_and_a_tap_between_readings_too() -> None:
    pad, source = a_pad()
    puck, mouse, _ = a_mouse()
    pad.press("LEFTSHOULDER")
    puck.send(right=True)
    mouse.poll()
    assert source.read().commands == mouse.read().commands == (Command.TAKEOVER,)
    for _ in range(5):
        puck.send(right=True, x=0.5)
        mouse.poll()
        assert source.read().commands == mouse.read().commands == ()
    for button in ("RIGHTSHOULDER", "LEFTSHOULDER", "RIGHTSHOULDER"):
        pad.press(button)
        pad.held.clear()
        puck.send()
        puck.send(left=button == "RIGHTSHOULDER", right=button == "LEFTSHOULDER")
        mouse.poll()
    puck.send()
    mouse.poll()
    assert source.read().commands == mouse.read().commands == (Command.GRIPPER, Command.TAKEOVER, Command.GRIPPER)


def test_a_puck_is_believed_in_its_newest_report() -> None:
    puck, mouse, _ = a_mouse()
    for push in np.linspace(0, 1, 500):
        puck.send(x=float(push))
    puck.send()
    mouse.poll()
    assert not mouse.read().moves
    assert not puck.reports


def test_a_puck_that_is_gone_is_looked_for_once_a_second() -> None:
    puck, mouse, clock = a_mouse()
    puck.send(x=1.0, right=True)
    mouse.poll()
    puck.attached = False
    mouse.poll()
    for _ in range(3):
        assert mouse.read() == Reading(present=False)
    assert puck.closed == 1
    puck.attached = True
    puck.reports.clear()
    clock.now = 0.9
    mouse.poll()
    assert not mouse.read().present
    clock.now = 1.9
    mouse.poll()
    assert mouse.read() == Reading(present=True, motion=(0.0,) * 6), "nothing of what it said before"


def test_the_thread_takes_reports_in_and_ends() -> None:
    puck, mouse, _ = a_mouse()
    mouse.start()
    puck.send(x=1.0)
    wait_until(lambda: mouse.read().moves)
    mouse.close()
    assert puck.closed == 1
    assert not mouse.read().present


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_puck_whose_thread_fails_stops_steering() -> None:
    puck, mouse, _ = a_mouse()
    puck.send(x=1.0)
    mouse.poll()
    assert mouse.read().moves
    puck.read = lambda: 1 / 0  # pyright: ignore[reportAttributeAccessIssue]
    mouse.start()
    wait_until(lambda: not mouse.read().present)
    mouse.close()


class FakeController:
    """What pygame calls a controller, at rest but for one button."""

    def __init__(self, number: int) -> None:
        self.number, self.here = number, True
        self.attached = lambda: self.here
        self.as_joystick = lambda: SimpleNamespace(get_instance_id=lambda: self.number)
        self.get_axis = lambda axis: -32768 if axis == "AXIS_LEFTY" else 0
        self.get_button = lambda button: button == "BUTTON_A"
        self.quit = lambda: None


class FakePygame:
    """As much of pygame as a pad needs; the constants are their own names."""

    CONTROLLERDEVICEADDED, CONTROLLERBUTTONDOWN, error = "added", "down", LookupError

    def __init__(self) -> None:
        self.events: list[SimpleNamespace] = []
        self.event = SimpleNamespace(get=lambda: [self.events.pop(0) for _ in list(self.events)])

    def __getattr__(self, name: str) -> str:
        return name.removeprefix("CONTROLLER_")


def test_sdl_tells_each_press_of_our_pad_and_a_new_pad_replaces_a_lost_one() -> None:
    pygame, ours, other = FakePygame(), FakeController(1), FakeController(2)
    pads = [other]
    pad = SdlGamepad(pygame, SimpleNamespace(Controller=lambda index: {0: pads}[index][0]), ours)

    def down(button: str, instance: int) -> SimpleNamespace:
        return SimpleNamespace(type="down", button=f"BUTTON_{button}", instance_id=instance)

    added = SimpleNamespace(type="added", device_index=0)
    pygame.events += [down("X", 1), down("GUIDE", 1), down("Y", 2), added, down("B", 1)]
    state = pad.poll()
    assert state is not None
    assert [button for button in state.pressed if button] == ["X", "B"]
    assert state.held == {"A"}
    assert state.axes == CENTRED | {"LEFTY": -1.0}
    ours.here = False
    pygame.events += [down("X", 1), SimpleNamespace(type="added", device_index=7)]
    assert pad.poll() is None
    assert pad.poll() is None
    pygame.events += [added, down("Y", 2)]
    state = pad.poll()
    assert state is not None
    assert state.pressed == ("Y",)


def test_hidapi_tells_each_report_of_every_interface_once_and_when_the_device_is_gone() -> None:
    specs = tuple(SimpleNamespace(byte=byte, bit=bit) for byte, bit in ((2, 4), (1, 1), (1, 0)))
    still = dict.fromkeys(AXES, 0.0)
    mute, speaking = (
        SimpleNamespace(info=SimpleNamespace(button_specs=specs), read=lambda: SimpleNamespace(t=-1.0, **still))
        for _ in range(2)
    )
    puck = PySpaceMouse([mute, speaking], LookupError)
    assert puck.read() is None
    said = still | {"x": 0.5, "yaw": -0.25}
    speaking.read = lambda: SimpleNamespace(t=1.0, buttons=[0, 1, 0], **said)
    assert puck.read() == SpaceMouseState((0.5, 0, 0, 0, 0, -0.25), (False, True))
    assert puck.read() is None
    speaking.read = lambda: {}["unplugged"]
    with pytest.raises(ConnectionError, match="gone"):
        puck.read()


def person(source: Gamepad) -> HumanOperator:
    clock = Clock()
    return HumanOperator([source], ACTION, Role(), None, lambda: None, clock)


def test_a_person_takes_over_with_the_pad_and_loses_it() -> None:
    pad, source = a_pad(ACTION)
    someone = person(source)
    assert not someone.intent().engaged
    pad.press("LEFTSHOULDER")
    pad.axes["LEFTY"] = -1.0
    intent = someone.intent()
    assert intent.engaged
    assert intent.motion == pytest.approx((1.0, 0, 0))
    assert someone.intent().engaged, "the button is still held"
    pad.attached = False
    assert not someone.intent().engaged
    assert "gamepad is gone" in someone.message
    pad.attached = True
    pad.held.clear()
    assert not someone.intent().engaged, "a stick that is held does not take over"
    pad.press("LEFTSHOULDER")
    assert someone.intent().engaged
    pad.press("LEFTSHOULDER")
    assert not someone.intent().engaged


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (GamepadConfig, {"dead_zone": -0.1}),
        (GamepadConfig, {"dead_zone": 1.0}),
        (GamepadConfig, {"scale": 0.0}),
        (GamepadConfig, {"scale": 1.1}),
        (GamepadConfig, {"index": -1}),
        (SpaceMouseConfig, {"dead_zone": float("nan")}),
        (SpaceMouseConfig, {"scale": -1.0}),
        (SpaceMouseConfig, {"rotation_scale": 2.0}),
    ],
)
def test_impossible_settings_are_named(config, settings: dict) -> None:
    with pytest.raises(HilserlError, match=next(iter(settings))):
        config(**settings)


@pytest.fixture
def no_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pygame", "pyspacemouse", "easyhid"):
        monkeypatch.setitem(sys.modules, name, None)
    for name in (
        "SDL_VIDEODRIVER",
        "SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS",
        "SDL_NO_SIGNAL_HANDLERS",
        "PYGAME_HIDE_SUPPORT_PROMPT",
    ):
        monkeypatch.setenv(name, "1")


@pytest.mark.usefixtures("no_libraries")
def test_a_missing_extra_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(HilserlError, match=r"pygame-ce is not installed.*hilserl\[gamepad\]"):
        open_gamepad(ACTION, GamepadConfig())
    with pytest.raises(HilserlError, match=r"pyspacemouse is not installed.*hilserl\[spacemouse\]"):
        open_spacemice(ACTION, SpaceMouseConfig())
    assert "; ".join(devices.attached_devices()) == doctor._CHECKS["devices"]()
    assert all("not installed: pip install" in line for line in devices.attached_devices())
    assert doctor.check(live=1.0) == 1
    assert "There is no device to watch." in capsys.readouterr().out


def test_doctor_lists_and_watches_what_is_attached(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pad, source = a_pad()
    pad.axes["LEFTY"] = -1.0
    pad.press("LEFTSHOULDER")
    fake = devices.DeviceKind(lambda: ["Fake Pad"], lambda _: (source,), gamepad.CONTROLS)
    none = devices.DeviceKind(list, devices.DEVICE_KINDS["spacemouse"].open, ())
    monkeypatch.setattr(devices, "DEVICE_KINDS", {"gamepad": fake, "spacemouse": none})
    assert doctor._CHECKS["devices"]() == "gamepad: Fake Pad; spacemouse: none attached"
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(devices, "DEVICE_KINDS", {"gamepad": fake})
    assert doctor.check(live=0.01) == 0
    text = capsys.readouterr().out
    assert "left stick up" in text
    assert "gamepad: x +1.00 y +0.00 z +0.00 roll +0.00 pitch +0.00 yaw +0.00 last: takeover" in text
    assert not pad.attached, "let go at the end"


def test_watching_keeps_the_last_command_and_tells_what_is_gone() -> None:
    pad, source = a_pad(ACTION)
    shown: list[str] = []
    clock = Clock()

    def show(line: str) -> None:
        shown.append(line)
        if len(shown) == 1:
            pad.press("RIGHTSHOULDER")
            pad.press("A")
        pad.attached = len(shown) != 3

    devices.watch_devices([source], 0.45, show, clock, clock.sleep)
    assert len(shown) == 5
    still = "gamepad: x +0.00 y +0.00 z +0.00 roll +0.00 pitch +0.00 yaw +0.00 last: "
    assert shown[0] == still + "-"
    assert shown[1] == shown[2] == still + "gripper SUCCESS HELD"
    assert shown[3] == "gamepad: gone"
    assert shown[4] == shown[1]
