"""Measure the latency of the phone's page.

It is the time from a touch on a pad to the target of the arm.

Headless Chromium on this machine is the phone, so the time of a wireless network is not in it. Run it as
`python -m scripts.phone_latency`; it needs Chromium (`make browser`) and playwright.
"""

import contextlib
import json
import shutil
import threading
import time

import numpy as np
from playwright.sync_api import Page, sync_playwright

from hilserl.operators.human import HumanOperator, Role
from hilserl.operators.phone.config import PhoneConfig
from hilserl.operators.phone.messages import PhoneMessage
from hilserl.operators.phone.phone import Phone
from hilserl.operators.phone.phone_input import PhoneInput
from hilserl.sim.task_env import CONTROL_DT_S
from hilserl.tasks import make_sim_env

TOUCHES = 100
_WATCH_TOUCHES = """
window.moved_s = [];
window.addEventListener("pointermove", (event) => {
  if (event.buttons) moved_s.push((performance.timeOrigin + event.timeStamp) / 1000);
}, true);
"""


class TimedInput(PhoneInput):
    """Input that keeps the time of each push of a pad."""

    pushed = False
    heard_s: list[float]

    def hear(self, message: PhoneMessage) -> None:
        """Take a message of the page."""
        super().hear(message)
        if any(message.pads) and not self.pushed:
            self.heard_s.append(time.time())
        self.pushed = any(message.pads)


def drive(operator: HumanOperator, stop: threading.Event, targets_s: list[float]) -> None:
    """Step an environment and keep the time of each motion's start."""
    env = make_sim_env("pick_cube", obs="state", max_episode_steps=10**9)
    layout, moving = env.experience.action, False
    due_s = time.monotonic()
    with contextlib.closing(env):
        env.reset(seed=0)
        while not stop.is_set():
            action, motion = np.zeros(layout.size, np.float32), operator.intent().motion
            if any(motion) and not moving:
                targets_s.append(time.time())
            moving = any(motion)
            action[list(layout.continuous)] = motion or 0.0
            env.step(action)
            due_s += CONTROL_DT_S
            time.sleep(max(0.0, due_s - time.monotonic()))


def touch(page: Page, rng: np.random.Generator) -> None:
    """Push the pad for a moment, again and again, at random times."""
    box = page.locator("#plane").bounding_box()
    if box is None:
        raise SystemExit("The page has no pad.")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for _ in range(TOUCHES):
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x, y - 60)
        page.wait_for_timeout(250)
        page.mouse.up()
        page.wait_for_timeout(250 + 100 * rng.random())


def main() -> None:
    """Print the median and the 95th percentile, in milliseconds."""
    layout = make_sim_env("pick_cube", obs="state").experience.action
    phone, targets_s, stop = Phone(layout, PhoneConfig(host="127.0.0.1")), [], threading.Event()
    phone._input.__class__ = TimedInput
    heard_s = phone._input.__dict__["heard_s"] = []
    operator = HumanOperator([phone], layout, Role(drives=True), None, lambda: time.sleep(0.001))
    thread = threading.Thread(target=drive, args=(operator, stop, targets_s))
    with contextlib.closing(phone), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_context(ignore_https_errors=True, viewport={"width": 390, "height": 844}).new_page()
        page.add_init_script(_WATCH_TOUCHES)
        page.goto(phone.url)
        page.wait_for_timeout(1000)
        thread.start()
        touch(page, np.random.default_rng(0))
        touched_s = page.evaluate("moved_s")
        stop.set()
        thread.join()
        browser.close()
    figures = {"touches": len(touched_s)}
    for name, times_s in (("to_program", heard_s), ("to_target", targets_s)):
        ms = [1000 * min(later - at for later in times_s if later >= at) for at in touched_s]
        figures |= {f"{name}_ms_median": round(float(np.median(ms)), 1)}
        figures |= {f"{name}_ms_95": round(float(np.percentile(ms, 95)), 1)}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
