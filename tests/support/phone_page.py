"""A phone's page in headless Chromium, with an emulated WebXR device."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from playwright.sync_api import Page

from tests.support.console_page import chromium, wait_until
from tests.support.console_process import ConsoleProcess

_FAKE_XR = """
window.place = [0, 0, 0];
window.XRWebGLLayer = class {};
const session = Object.assign(new EventTarget(), {
  visibilityState: "visible",
  updateRenderState() {},
  async requestReferenceSpace() { return {}; },
  requestAnimationFrame(draw) {
    const [x, y, z] = window.place;
    const transform = { position: { x, y, z }, orientation: { x: 0, y: 0, z: 0, w: 1 } };
    setTimeout(() => draw(0, { getViewerPose: () => ({ emulatedPosition: false, transform }) }), 20);
  },
});
const xr = { isSessionSupported: async () => true, requestSession: async () => session };
Object.defineProperty(navigator, "xr", { value: xr });
"""


@contextmanager
def phone_page(process: ConsoleProcess) -> Iterator[Page]:
    """Open the page of a verb's phone, as large as a phone's screen, with WebXR."""
    wait_until(lambda: process.is_announced, "the verb has opened its console")
    with chromium() as browser:
        context = browser.new_context(
            ignore_https_errors=True, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
        )
        context.add_init_script(_FAKE_XR)
        page = context.new_page()
        wait_until(lambda: any(line.startswith("Phone: ") for line in process.lines), "the address is printed")
        page.goto(process.phone_url)
        wait_until(lambda: page.locator("#title").text_content() != "Connecting", "the page is connected", page)
        yield page


def carry(page: Page, way_m: np.ndarray, steps: int = 20) -> None:
    """Move the phone that is held upright, at the speed of a hand.

    Args:
        page: the phone's page.
        way_m: way along the world's axes, [3].
        steps: number of moves, 50 ms apart.
    """
    x, y, z = (way_m / steps).tolist()
    for _ in range(steps):
        page.evaluate(f"place = [place[0] - {y}, place[1] + {z}, place[2] - {x}]")
        page.wait_for_timeout(50)
