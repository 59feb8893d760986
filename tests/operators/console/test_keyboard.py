"""The console of a task with two arms in a browser."""

from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page

from tests.support.console_page import ConsoleLoop, press_until, taken_over, wait_until
from tests.support.pick_variants import TwoArmPickCube

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def console() -> Iterator[tuple[ConsoleLoop, Page]]:
    with taken_over(TwoArmPickCube()) as console:
        yield console


@pytest.fixture
def loop(console: tuple[ConsoleLoop, Page]) -> ConsoleLoop:
    return console[0]


@pytest.fixture
def page(console: tuple[ConsoleLoop, Page]) -> Page:
    return console[1]


def tools(loop: ConsoleLoop) -> np.ndarray:
    return np.array(list(loop.env.teleoperation.tcp_positions_m.values()))


def choose(page: Page, loop: ConsoleLoop, arm: str) -> None:
    if loop.operator.chosen_arm != arm:
        press_until(page, "o", lambda: loop.operator.chosen_arm == arm, f"the {arm} arm is chosen")


@pytest.mark.parametrize("arm", ["left", "right"])
def test_key_w_moves_only_the_chosen_arm(loop: ConsoleLoop, page: Page, arm: str) -> None:
    choose(page, loop, arm)
    start, mine = tools(loop), ("left", "right").index(arm)
    page.keyboard.down("w")
    wait_until(lambda: tools(loop)[mine, 0] > start[mine, 0] + 0.03, "the tool has moved forward", page)
    page.keyboard.up("w")
    keep_drawing(page)
    assert np.abs(tools(loop) - start)[1 - mine].max() < 0.002


def keep_drawing(page: Page) -> None:
    """Keep the page drawing for a second.

    It stops while its driver only waits.
    """
    for _ in range(50):
        page.wait_for_timeout(20)
