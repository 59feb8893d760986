"""The console of a task with two arms, in a real browser: O goes on to the other arm."""

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.operators.devices.test_devices_in_sim import Both
from tests.support.console_page import Loop, driven, press_until, wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def console() -> Iterator[tuple[Loop, Page]]:
    with driven(Both()) as console:
        yield console


@pytest.fixture
def loop(console: tuple[Loop, Page]) -> Loop:
    return console[0]


@pytest.fixture
def page(console: tuple[Loop, Page]) -> Page:
    return console[1]


def tools(loop: Loop) -> np.ndarray:
    return np.array(list(loop.env.teleoperation.tcp_positions_m.values()))


def choose(page: Page, loop: Loop, arm: str) -> None:
    if loop.person.chosen_arm != arm:
        press_until(page, "o", lambda: loop.person.chosen_arm == arm, f"the {arm} arm is chosen")


@pytest.mark.parametrize("arm", ["left", "right"])
def test_w_moves_the_chosen_arm_and_no_other(loop: Loop, page: Page, arm: str) -> None:
    choose(page, loop, arm)
    start, mine = tools(loop), ("left", "right").index(arm)
    page.keyboard.down("w")
    wait_until(lambda: tools(loop)[mine, 0] > start[mine, 0] + 0.03, "the hand has moved forward", page)
    page.keyboard.up("w")
    attend(page)
    assert np.abs(tools(loop) - start)[1 - mine].max() < 0.002


def attend(page: Page) -> None:
    """A second in which the page goes on drawing, as it does not where the driver just waits."""
    for _ in range(50):
        page.wait_for_timeout(20)
