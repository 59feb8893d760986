"""The console's window on a virtual display."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import ImageGrab

from tests.support.console_page import wait_until
from tests.support.console_process import ConsoleProcess

pytestmark = pytest.mark.browser


@pytest.fixture
def display(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An X server without a screen."""
    assert shutil.which("Xvfb"), "Xvfb is missing; `make test-browser` installs it (apt-get install xvfb xdotool)."
    reading, writing = os.pipe()
    # By default the server resets when its last client leaves: a screenshot would end a window that just opens.
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x800x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as answer:
        name = f":{answer.readline().strip()}"
    monkeypatch.setenv("DISPLAY", name)
    yield name
    server.terminate()
    server.wait()


def test_window_shows_the_source_of_control_and_obeys_keys(display: str) -> None:
    process = ConsoleProcess("play", "pick_cube", "--obs", "state", view="native")
    try:

        def orange_banner() -> bool:
            assert not process.has_ended, process.errors
            image = np.asarray(ImageGrab.grab(xdisplay=display).convert("RGB")).astype(int)
            red, green, blue = np.moveaxis(image[:80], -1, 0)
            return bool(((red > 170) & (green > 80) & (green < 130) & (blue < 40)).sum() > 5_000)

        wait_until(orange_banner, "the banner says who drives")
        wait_until(lambda: process.state, "the episode is there")
        start = process.state["tcp"]
        # Without a window manager keys go to the window under the pointer.
        subprocess.run(["xdotool", "mousemove", "900", "400", "keydown", "w"], check=True)
        wait_until(lambda: process.state["tcp"][0] > start[0] + 0.04, "the hand has moved forward")
        subprocess.run(["xdotool", "keyup", "w"], check=True)
        wait_until(lambda: process.state["human"], "the operator drives")
        subprocess.run(["xdotool", "key", "--delay", "300", "Escape", "Escape"], check=True)
        assert process.end() == 0, process.errors
    finally:
        process.close()
