"""The console in a browser: display, keys and a lost page."""

import io
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from hilserl.operators.console import viewers
from hilserl.operators.console.style import BAD
from hilserl.operators.devices.device import Reading
from hilserl.operators.devices.key_map import Command
from hilserl.operators.value_watch import ValueWatch
from tests.support.console_page import ConsoleLoop, chromium, open_page, press_until, wait_until

pytestmark = pytest.mark.browser

SLOW_DRAWING = """() => {
    const draw = window.requestAnimationFrame;
    window.requestAnimationFrame = (callback) => draw((now) => {
        const start = performance.now();
        while (performance.now() - start < 400);
        callback(now);
    });
}"""
"""Makes the page draw two images a second."""
STATUS_BAR_PX = 32
"""Height of the viewer's bar at the bottom of the page."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def loop() -> Iterator[ConsoleLoop]:
    """One console for all tests, as a process can open only one."""
    # A page drawn in software on a busy machine is silent for longer than an operator's page.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(viewers, "SILENCE_S", 8.0)
        patch.setattr(viewers, "PING_S", 60.0)
        loop = ConsoleLoop(drives=False)
        yield loop
        loop.close()


@pytest.fixture
def page(browser: Browser, loop: ConsoleLoop) -> Iterator[Page]:
    """The operator's page, while the policy drives (it holds still)."""
    page = open_page(browser, loop.url, present=loop.present)
    yield page
    if not page.is_closed():
        page.close()
    wait_until(lambda: not loop.present() and not loop.driven, "the page is gone")


@pytest.fixture
def driving(page: Page, loop: ConsoleLoop) -> Page:
    """The operator's page after a takeover at the start of an episode."""
    episode = loop.steps[-1].episode
    press_until(page, "n", lambda: loop.steps[-1].episode > episode, "a new episode begins")
    take_over(page, loop)
    return page


def take_over(page: Page, loop: ConsoleLoop) -> None:
    press_until(page, ";", lambda: loop.driven, "the operator drives")


def colours_of(page: Page) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)


def is_still(loop: ConsoleLoop) -> bool:
    before = loop.tcp_m
    time.sleep(0.5)
    return bool(np.abs(loop.tcp_m - before).max() < 0.002)


def test_page_shows_scene_panel_and_camera_images(driving: Page) -> None:
    page = driving

    def orange_banner() -> bool:
        red, green, blue = colours_of(page)[12:40, 20:320].reshape(-1, 3).T
        return bool(np.mean((red > 170) & (green > 80) & (green < 130) & (blue < 40)) > 0.5)

    wait_until(orange_banner, "the banner says who drives", page)

    def cube() -> np.ndarray:
        red, green, blue = np.moveaxis(colours_of(page), -1, 0)
        return (red > 100) & (green < 90) & (blue < 80) & (red > 2 * green)

    # The arm may hide it in one episode, but not in several.
    for _ in range(6):
        if cube()[:, 345:].any():
            break
        page.keyboard.press("n", delay=500)
        page.wait_for_timeout(2000)
    assert cube()[:, 345:].any(), "the cube is in the scene"
    pixels = colours_of(page)
    white_arm = (pixels[:, 345:] > 180).all(-1)
    assert white_arm.mean() > 0.02, "the arm is in the scene"
    cameras = pixels[:, :330].reshape(-1, 3)
    assert cube()[:, :330].any(), "the cube is in a camera image"
    assert len(np.unique(cameras, axis=0)) > 100


def test_key_w_moves_forward_while_it_is_held(loop: ConsoleLoop, driving: Page) -> None:
    page = driving
    start = loop.tcp_m
    page.keyboard.down("w")
    wait_until(lambda: loop.tcp_m[0] > start[0] + 0.04, "the tool has moved forward", page)
    page.keyboard.up("w")
    wait_until(lambda: is_still(loop), "the tool stands still", page)
    moved = loop.tcp_m - start
    assert moved[0] > 0.04
    assert np.abs(moved[1:]).max() < 0.02
    assert loop.steps[-1].intervened


def test_semicolon_hands_back_and_takes_over(loop: ConsoleLoop, driving: Page) -> None:
    page = driving
    press_until(page, ";", lambda: not loop.driven, "the policy drives")
    take_over(page, loop)


@pytest.mark.parametrize("slow", ["page", "console"])
def test_taps_shorter_than_a_drawn_image_count_each(
    loop: ConsoleLoop, driving: Page, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """A takeover must not be lost, however slowly the page draws and the console answers."""
    monkeypatch.setattr(viewers, "SILENCE_S", 60.0)
    page = driving
    if slow == "page":
        page.evaluate(SLOW_DRAWING)
    else:
        prepare = viewers.LoopbackViewer.prepare_next_frame
        monkeypatch.setattr(
            viewers.LoopbackViewer, "prepare_next_frame", lambda viewer: time.sleep(0.5) or prepare(viewer)
        )
    commands, read = [], loop.session._console.read

    def read_and_note() -> Reading:
        reading = read()
        commands.extend(reading.commands)
        return reading

    monkeypatch.setattr(loop.session._console, "read", read_and_note)
    for key in (";", "Tab", ";", ";") * 5:
        page.keyboard.press(key)
        page.wait_for_timeout(250)
    wait_until(lambda: len(commands) == 20, "each tap counts", page)
    assert set(commands) == {Command.TAKEOVER}
    assert loop.driven, "after an even number of them"
    start = loop.tcp_m
    page.keyboard.press("w")
    wait_until(lambda: loop.tcp_m[0] > start[0] + 0.005, "a tap moves the tool", page)


@pytest.mark.parametrize("key", [{"code": "KeyW", "key": "z"}, {"code": "", "key": "w"}], ids=["place", "letter"])
def test_key_goes_by_its_place_or_else_by_its_letter(loop: ConsoleLoop, driving: Page, key: dict[str, str]) -> None:
    """On an AZERTY board Z stands at the place of W; a virtual keyboard has no places."""
    page, start = driving, loop.tcp_m
    page.evaluate("key => window.dispatchEvent(new KeyboardEvent('keydown', key))", key)
    wait_until(lambda: loop.tcp_m[0] > start[0] + 0.03, "the tool has moved forward", page)
    page.evaluate("window.dispatchEvent(new Event('blur'))")
    wait_until(lambda: is_still(loop), "a page in the background holds no key", page)


def test_key_l_toggles_the_gripper_once(loop: ConsoleLoop, driving: Page) -> None:
    page = driving
    arm = loop.env.simulation.arm
    for command in (-1.0, 1.0, -1.0):
        press_until(page, "l", lambda command=command: arm.gripper_command == command, f"the gripper is told {command}")
        page.wait_for_timeout(1000 * 0.5)
        assert arm.gripper_command == command


def test_marker_drag_leads_the_tool(loop: ConsoleLoop, driving: Page) -> None:
    page = driving
    from hilserl.operators.console.marker import FreeCamera, project
    from hilserl.operators.console.panel import AZIMUTH_DEG, DISTANCE_M, ELEVATION_DEG, look_at_m

    size = page.viewport_size
    assert size
    scene = (size["width"], size["height"] - STATUS_BAR_PX)
    camera = FreeCamera(look_at_m(loop.env.scene.centre_m), DISTANCE_M, AZIMUTH_DEG, ELEVATION_DEG, 45.0, scene)
    start = loop.tcp_m
    here, there = project(start, camera), project(start + np.array([0.06, -0.10, 0.0]), camera)
    assert here
    assert there
    page.mouse.move(*here)
    page.wait_for_timeout(1000)
    page.mouse.down()
    page.wait_for_timeout(1000)
    page.mouse.move(*there)
    wait_until(
        lambda: np.linalg.norm((loop.tcp_m - start)[:2] - [0.06, -0.10]) < 0.03, "the tool is where it was led", page
    )
    page.mouse.up()
    wait_until(lambda: is_still(loop), "the tool stands still", page)
    assert abs(loop.tcp_m[2] - start[2]) < 0.02


def test_page_shows_and_sounds_that_a_takeover_is_advised(
    loop: ConsoleLoop, page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = {"x": 400, "y": 1, "width": 200, "height": 3}
    monkeypatch.setattr(loop.session._status, "_watch", ValueWatch(lambda *_: 0.3))
    wait_until(lambda: page.evaluate("document.documentElement.dataset.beeps"), "the page sounds a tone", page)
    red = 255 * np.array([BAD.x, BAD.y, BAD.z])
    wait_until(lambda: np.abs(_image(page, edge).mean((0, 1)) - red).max() < 20, "the frame is red", page)
    assert page.evaluate("document.documentElement.dataset.beeps") == "1", "one tone each time"


def _image(page: Page, clip: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"), float)


def test_second_browser_only_watches(loop: ConsoleLoop, driving: Page, browser: Browser) -> None:
    page = driving
    other = open_page(browser, loop.url)
    page.wait_for_timeout(1000 * 5.0)
    start = loop.tcp_m
    other.keyboard.down("w")
    page.wait_for_timeout(1000 * 3.0)
    other.keyboard.up("w")
    assert np.abs(loop.tcp_m - start).max() < 0.002
    page.bring_to_front()
    page.keyboard.down("w")
    wait_until(lambda: loop.tcp_m[0] > start[0] + 0.02, "the first browser drives", page)
    page.keyboard.up("w")
    other.close()


def test_closed_page_with_a_held_key_hands_back(loop: ConsoleLoop, driving: Page) -> None:
    page = driving
    page.keyboard.down("s")
    start = loop.tcp_m
    wait_until(lambda: loop.tcp_m[0] < start[0] - 0.02, "the tool moves", page)
    page.close()
    wait_until(lambda: not loop.driven, "the policy drives")
    wait_until(lambda: is_still(loop), "the tool stands still")
    steps = loop.counters.env_steps
    wait_until(lambda: loop.counters.env_steps > steps + 20, "the run goes on")
    assert not loop.steps[-1].intervened


def test_reloaded_page_hands_back_and_can_take_over_again(loop: ConsoleLoop, driving: Page) -> None:
    page = driving
    page.keyboard.down("s")
    page.reload()
    wait_until(lambda: not loop.driven, "the policy drives", page)
    page.keyboard.up("s")
    wait_until(loop.present, "the console hears the page again", page)
    take_over(page, loop)
    wait_until(lambda: is_still(loop), "what was held on the old page is forgotten", page)


def test_silent_page_stops_the_tool(loop: ConsoleLoop, driving: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page freezes with a held key.

    Its connection stays open, but no message comes.
    """
    page = driving
    page.keyboard.down("s")
    start = loop.tcp_m
    wait_until(lambda: loop.tcp_m[0] < start[0] - 0.02, "the tool moves", page)
    monkeypatch.setattr(viewers, "SILENCE_S", 1.0)
    page.evaluate("() => { setTimeout(() => { const t = Date.now(); while (Date.now() - t < 9000); }, 0); }")
    wait_until(lambda: not loop.driven, "the policy drives")
    wait_until(lambda: is_still(loop), "the tool stands still")
