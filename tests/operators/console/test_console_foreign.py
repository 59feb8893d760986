"""The console of another package's environment, in a real browser: pictures alone, and keys that move its numbers."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.support.console_page import Loop, driven, wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def console() -> Iterator[tuple[Loop, Page]]:
    with driven("tests.support.toy_envs:toys/Slide-v0") as console:
        yield console


@pytest.fixture
def loop(console: tuple[Loop, Page]) -> Loop:
    return console[0]


@pytest.fixture
def page(console: tuple[Loop, Page]) -> Page:
    return console[1]


def speed(loop: Loop) -> float:
    return loop.env._env.unwrapped.speeds[-1]


def red_pixels(page: Page) -> int:
    seen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    return int(((seen[..., 0] > 220) & (seen[..., 1:] < 40).all(-1)).sum())


def test_w_and_s_move_the_first_number_and_nothing_held_lets_it_rest(loop: Loop, page: Page) -> None:
    for key, ways in (("s", lambda: speed(loop) < 0.9), ("w", lambda: speed(loop) > 1.1)):
        page.keyboard.down(key)
        wait_until(ways, f"{key} is felt", page)
        page.keyboard.up(key)
        wait_until(lambda: speed(loop) == 1.0, "the middle of its range", page)


def test_what_it_draws_is_seen(loop: Loop, page: Page) -> None:
    page.keyboard.down("w")
    wait_until(lambda: loop.env._env.unwrapped.at == 1.0, "the bead is at the end", page)
    page.keyboard.up("w")
    wait_until(lambda: red_pixels(page) > 20_000, "all of the picture is red", page)
