"""Gamepad: SDL's events, takeover and loss."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from hilserl.operators.devices.gamepad import SdlGamepad
from hilserl.operators.human import HumanOperator, Role
from tests.support.devices import CENTRED, Clock, make_gamepad
from tests.support.layouts import ACTION


def test_motion_stays_in_range() -> None:
    for push in itertools.product((-1.0, -0.3, 0.0, 0.05, 1.0), repeat=4):
        pad, device = make_gamepad()
        pad.axes = dict(zip(CENTRED, push, strict=True))
        assert np.abs(device.read().motion).max() <= 1


class FakeController:
    """A controller of pygame with one held button and one pushed axis."""

    def __init__(self, number: int) -> None:
        self.number, self.here = number, True
        self.attached = lambda: self.here
        self.as_joystick = lambda: SimpleNamespace(get_instance_id=lambda: self.number)
        self.get_axis = lambda axis: -32768 if axis == "AXIS_LEFTY" else 0
        self.get_button = lambda button: button == "BUTTON_A"
        self.quit = lambda: None


class FakePygame:
    """The part of pygame that a gamepad needs; constants are their names."""

    CONTROLLERDEVICEADDED, CONTROLLERBUTTONDOWN, error = "added", "down", LookupError

    def __init__(self) -> None:
        self.events: list[SimpleNamespace] = []
        self.event = SimpleNamespace(get=lambda: [self.events.pop(0) for _ in list(self.events)])

    def __getattr__(self, name: str) -> str:
        return name.removeprefix("CONTROLLER_")


def test_sdl_gamepad_reports_each_press_and_a_lost_one_is_replaced() -> None:
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


def test_operator_takes_over_with_the_gamepad_and_loses_it() -> None:
    pad, device = make_gamepad(ACTION)
    operator = HumanOperator([device], ACTION, Role(), None, lambda: None, Clock())
    assert not operator.intent().engaged
    pad.press("LEFTSHOULDER")
    pad.axes["LEFTY"] = -1.0
    intent = operator.intent()
    assert intent.engaged
    assert intent.motion == pytest.approx((1.0, 0, 0))
    assert operator.intent().engaged, "the button is still held"
    pad.attached = False
    assert not operator.intent().engaged
    assert "gamepad is gone" in operator.message
    pad.attached = True
    pad.held.clear()
    assert not operator.intent().engaged, "a stick that is held does not take over"
    pad.press("LEFTSHOULDER")
    assert operator.intent().engaged
    pad.press("LEFTSHOULDER")
    assert not operator.intent().engaged
