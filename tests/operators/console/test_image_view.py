"""The console of another package's environment in a browser."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from tests.support.console_page import ConsoleLoop, taken_over, wait_until

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def console() -> Iterator[tuple[ConsoleLoop, Page]]:
    with taken_over("tests.support.toy_envs:toys/Slide-v0") as console:
        yield console


@pytest.fixture
def loop(console: tuple[ConsoleLoop, Page]) -> ConsoleLoop:
    return console[0]


@pytest.fixture
def page(console: tuple[ConsoleLoop, Page]) -> Page:
    return console[1]


def speed(loop: ConsoleLoop) -> float:
    return loop.env._env.unwrapped.speeds[-1]


def red_pixels(page: Page) -> int:
    seen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    return int(((seen[..., 0] > 220) & (seen[..., 1:] < 40).all(-1)).sum())


def test_keys_w_and_s_move_the_first_number(loop: ConsoleLoop, page: Page) -> None:
    for key, ways in (("s", lambda: speed(loop) < 0.9), ("w", lambda: speed(loop) > 1.1)):
        page.keyboard.down(key)
        wait_until(ways, f"{key} is felt", page)
        page.keyboard.up(key)
        wait_until(lambda: speed(loop) == 1.0, "the middle of its range", page)


def test_environment_image_is_shown(loop: ConsoleLoop, page: Page) -> None:
    page.keyboard.down("w")
    wait_until(lambda: loop.env._env.unwrapped.at == 1.0, "the bead is at the end", page)
    page.keyboard.up("w")
    wait_until(lambda: red_pixels(page) > 20_000, "all of the image is red", page)
