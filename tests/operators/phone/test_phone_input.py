"""A phone's messages as the reading of an input device."""

from typing import Any

import pytest

from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.phone.config import PhoneConfig
from hilserl.operators.phone.messages import PhoneMessage
from hilserl.operators.phone.phone_input import GONE_S, STOP_S, PhoneInput
from tests.support.devices import Clock
from tests.support.layouts import ACTION, SEVEN

IDENTITY = (0.0, 0.0, 0.0, 1.0)
STILL = (0.0,) * 6


class Page:
    """A page whose messages the test writes."""

    def __init__(self, layout: Any = SEVEN, **config: Any) -> None:
        self.clock = Clock()
        self.input = PhoneInput(layout, PhoneConfig(**config), self.clock)

    def say(self, **message: Any) -> None:
        self.input.hear(PhoneMessage(**message))

    def after(self, seconds: float) -> Reading:
        self.clock.now += seconds
        return self.input.read()

    def at(self, x_m: float) -> None:
        self.say(place_m=(0.0, 0.0, -x_m), turn_xyzw=IDENTITY)


def test_phone_is_absent_until_it_says_something() -> None:
    page = Page()
    assert page.after(0.0) == Reading(False)
    page.say()
    assert page.after(0.0) == Reading(True, STILL)


@pytest.mark.parametrize(
    ("pads", "axis", "sign"),
    [((0, 1, 0), 0, 1), ((0, -1, 0), 0, -1), ((1, 0, 0), 1, -1), ((-1, 0, 0), 1, 1), ((0, 0, 1), 2, 1)],
)
def test_pads_push_the_tool_as_a_stick_does(pads: tuple[float, float, float], axis: int, sign: int) -> None:
    page = Page(pad_scale=0.5)
    page.say(pads=pads)
    motion = page.after(0.0).motion
    assert motion[axis] == pytest.approx(0.5 * sign)
    assert sum(map(abs, motion)) == pytest.approx(0.5)
    page.say(pads=(0.05, 0.05, 0.05))
    assert page.after(0.0).motion == STILL, "a resting thumb"


def test_heading_turns_the_pads() -> None:
    page = Page(heading_deg=180.0)
    page.say(pads=(0.0, 1.0, 0.0))
    assert page.after(0.0).motion == pytest.approx((-1.0, 0.0, 0.0, 0.0, 0.0, 0.0))


def test_hand_stops_at_a_silence_and_is_lost_at_a_longer_one() -> None:
    page = Page()
    page.at(0.0)
    page.say(place_m=(0.0, 0.0, 0.0), turn_xyzw=IDENTITY, pads=(0.0, 1.0, 0.0))
    assert page.after(STOP_S - 0.01).moves
    assert page.after(0.02) == Reading(True, STILL)
    assert page.after(GONE_S) == Reading(False)


def test_way_during_a_silence_does_not_count() -> None:
    page = Page()
    page.at(0.0)
    page.at(0.05)
    before = page.after(0.0).hand_m
    assert before == pytest.approx((0.05, 0.0, 0.0))
    page.clock.now += STOP_S
    page.at(0.15)
    assert page.after(0.0).hand_m == pytest.approx(before)
    page.at(0.25)
    assert page.after(0.0).hand_m == pytest.approx((0.15, 0.0, 0.0))


@pytest.mark.parametrize("ending", ["hidden", "lost"])
def test_hidden_page_and_closed_connection_are_gone_at_once(ending: str) -> None:
    page = Page()
    page.say(pads=(0.0, 1.0, 0.0), presses=("takeover",))
    if ending == "hidden":
        page.say(visible=False)
    else:
        page.input.lose()
    assert page.after(0.0) == Reading(False)
    page.say()
    assert page.after(0.0) == Reading(True, STILL), "no earlier press comes later"


def test_presses_count_once_in_order_and_are_not_endless() -> None:
    page = Page()
    page.say(presses=("takeover", "gripper"))
    page.say(presses=("takeover",))
    assert page.after(0.0).commands == (Command.TAKEOVER, Command.GRIPPER, Command.TAKEOVER)
    assert page.after(0.0).commands == ()
    for _ in range(500):
        page.say(presses=("gripper",))
    assert len(page.after(0.0).commands) == 100


def test_sensors_turn_only_where_the_task_turns() -> None:
    for layout, turns in ((SEVEN, True), (ACTION, False)):
        page = Page(layout)
        page.say(angles_deg=(0.0, 0.0, 0.0))
        page.say(angles_deg=(5.0, 0.0, 0.0))
        reading = page.after(0.0)
        assert bool(reading.motion[5] > 0.1) is turns
        assert reading.moves is turns
        assert reading.hand_m is None
