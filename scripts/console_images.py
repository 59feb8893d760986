"""Make the images of the console in the documentation, with headless Chromium.

    python -m scripts.console_images                 # docs/images/console_play.png and console_replay.png

`make browser` installs Chromium. A machine without a graphics card draws in software and needs a few minutes.
"""

import contextlib
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, ViewportSize

from hilserl.cli.main import main as hilserl
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.console import viewers
from hilserl.rollout.playback import PlaybackSession
from tests.support.console_page import ConsoleLoop, chromium, press_until, wait_until

IMAGES = Path(__file__).resolve().parents[1] / "docs" / "images"
_SIZE: ViewportSize = {"width": 1280, "height": 720}
_PATIENCE_MS, _SETTLED_MS, _WAIT_MS = 180_000, 40_000, 20


def play() -> None:
    """Show the operator driving, with the help open."""
    loop = ConsoleLoop(drives=True)
    with contextlib.closing(loop):

        def act(page: Page) -> None:
            press_until(page, "w", lambda: len(loop.steps) > 1, "the episode has begun")
            page.keyboard.press("?", delay=400)

        photograph(loop.url, loop.present, IMAGES / "console_play.png", act)


def replay() -> None:
    """Show a recorded demonstration."""
    with tempfile.TemporaryDirectory() as temporary:
        words = ["record", "pick_cube", "--successes", "3", "--out", temporary]
        if hilserl(words):
            raise RuntimeError("the recording failed")
        session = PlaybackSession(Path(temporary), ConsoleConfig(view="web"))
        stop = threading.Event()

        def act(page: Page) -> None:
            page.wait_for_timeout(500)

        photograph_in_thread(session, stop, act)


def photograph_in_thread(session: PlaybackSession, stop: threading.Event, act: Callable[[Page], None]) -> None:
    """Photograph the playback from a thread, while this one runs it."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            url = session.announcement.split()[1]
            photograph(url, lambda: True, IMAGES / "console_replay.png", act)
        except BaseException as failure:  # noqa: BLE001 - it is raised again below
            failures.append(failure)
        stop.set()

    thread = threading.Thread(target=run)
    thread.start()
    while not stop.is_set():
        session.tick()
    thread.join()
    session.close()
    if failures:
        raise failures[0]


def photograph(url: str, present: Callable[[], bool], target: Path, act: Callable[[Page], None]) -> None:
    """Open a console's page, act there and write an image of it."""
    with chromium() as browser:
        page = browser.new_page(viewport=_SIZE)
        page.goto(url)
        wait_until(present, "the console hears the page", page)
        settle(page)
        act(page)
        settle(page)
        page.screenshot(path=target, timeout=_PATIENCE_MS)
    print(f"{target}: {target.stat().st_size / 1e6:.2f} MB", flush=True)


def settle(page: Page) -> None:
    """Let the page draw; it stops while its driver only waits."""
    for _ in range(_SETTLED_MS // _WAIT_MS):
        page.wait_for_timeout(_WAIT_MS)


def main() -> int:
    """Make one image, or each in another process."""
    viewers.SILENCE_S, viewers.PING_S = 60.0, 120.0
    if sys.argv[1:] == ["play"]:
        play()
    elif sys.argv[1:] == ["replay"]:
        replay()
    else:
        # A process can open only one console.
        for name in ("play", "replay"):
            subprocess.run([sys.executable, "-m", "scripts.console_images", name], check=True)  # noqa: S603
    return 0


if __name__ == "__main__":
    sys.exit(main())
