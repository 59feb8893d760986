"""SpaceMouse: newest report, buttons, loss and reconnection."""

import numpy as np
import pytest

from hilserl.operators.action_axes import STILL
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.devices.spacemouse import SpaceMouse, SpaceMouseConfig
from tests.support.devices import FakeSpaceMouse, make_spacemouse, wait_for
from tests.support.layouts import TWO


def test_newest_report_counts() -> None:
    fake, mouse, _ = make_spacemouse()
    for push in np.linspace(0, 1, 500):
        fake.send(x=float(push))
    fake.send()
    mouse.poll()
    assert not mouse.read().moves
    assert not fake.reports


def test_lost_device_is_looked_for_once_a_second() -> None:
    fake, mouse, clock = make_spacemouse()
    fake.send(x=1.0, right=True)
    mouse.poll()
    fake.attached = False
    mouse.poll()
    for _ in range(3):
        assert mouse.read() == Reading(present=False)
    assert fake.closed == 1
    fake.attached = True
    fake.reports.clear()
    clock.now = 0.9
    mouse.poll()
    assert not mouse.read().present
    clock.now = 1.9
    mouse.poll()
    assert mouse.read() == Reading(present=True, motion=(0.0,) * 6), "nothing of the earlier reports"


def test_thread_reads_reports_and_ends() -> None:
    fake, mouse, _ = make_spacemouse()
    mouse.start()
    fake.send(x=1.0)
    wait_for(lambda: mouse.read().moves)
    mouse.close()
    assert fake.closed == 1
    assert not mouse.read().present


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_failed_thread_stops_the_motion() -> None:
    fake, mouse, _ = make_spacemouse()
    fake.send(x=1.0)
    mouse.poll()
    assert mouse.read().moves
    fake.read = lambda: 1 / 0  # pyright: ignore[reportAttributeAccessIssue]
    mouse.start()
    wait_for(lambda: not mouse.read().present)
    mouse.close()


def test_buttons_together_switch_the_arm_and_one_counts_when_released() -> None:
    fake = FakeSpaceMouse()
    mouse = SpaceMouse(fake.connect, TWO, SpaceMouseConfig(), lambda: 0.0)
    presses = {
        (("left",), ()): [Command.GRIPPER],
        (("right",), ()): [Command.TAKEOVER],
        (("left",), ("left", "right"), ("right",), ()): [Command.SWITCH_ARM],
        (("left", "right"), ()): [Command.SWITCH_ARM],
        (("right",), ("left", "right"), ("left", "right"), ()): [Command.SWITCH_ARM],
        (("left",), ("left",), ("left",)): [],
    }
    for states, expected in presses.items():
        for held in states:
            fake.send(left="left" in held, right="right" in held, x=0.5)
        mouse.poll()
        assert list(mouse.read().commands) == expected, states


def test_button_held_while_the_device_is_lost_has_no_effect() -> None:
    fake = FakeSpaceMouse()
    times = iter(range(100))
    mouse = SpaceMouse(fake.connect, TWO, SpaceMouseConfig(), lambda: next(times))
    fake.send(left=True, right=True)
    mouse.poll()
    fake.attached = False
    mouse.poll()
    fake.attached = True
    for _ in range(2):
        fake.send()
        mouse.poll()
    assert mouse.read() == Reading(True, STILL)


def test_buttons_of_a_device_with_an_assigned_arm_count_at_once() -> None:
    fake = FakeSpaceMouse()
    mouse = SpaceMouse(fake.connect, TWO, SpaceMouseConfig(), lambda: 0.0, arm="right")
    assert (mouse.name, mouse.arm) == ("right SpaceMouse", "right")
    fake.send(left=True)
    fake.send(left=True, right=True)
    mouse.poll()
    assert mouse.read().commands == (Command.GRIPPER, Command.TAKEOVER)
