"""A control loop with a console, and the browser that opens it."""

import contextlib
import gc
import shutil
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from hilserl.data.subscriber import Subscriber
from hilserl.envs.gymnasium_env import GymnasiumEnv
from hilserl.envs.options import EnvOptions, ObsName
from hilserl.interrupt import Interrupt
from hilserl.operators.config import ConsoleConfig
from hilserl.operators.console import viewers
from hilserl.operators.console.session import ConsoleSession
from hilserl.operators.human import Role
from hilserl.operators.takeover import Control
from hilserl.rollout.recording import hold_still
from hilserl.rollout.rollout import EpisodeSeeds, Rollout
from hilserl.runs.counters import RunCounters
from hilserl.sim.environment import ManipulationEnv
from hilserl.sim.task import Task
from hilserl.tasks.pick_cube import PickCube

PATIENCE_S = 180.0
"""Longest wait for an event, in seconds.

A page drawn in software on a busy machine is slow.
"""
_PRESS_MS = 400
_WATCHED_STEP_S = 0.02
_SOFTWARE_GL = ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")


def wait_until(condition: Callable[[], object], what: str, page: Page | None = None) -> None:
    """Wait for a condition and keep a page awake.

    Headless Chromium stops drawing for an idle driver.
    """
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE_S:.0f} s in vain until {what}"
        if page is None:
            time.sleep(0.02)
        else:
            page.wait_for_timeout(20)


def press_until(page: Page, keys: Sequence[str], condition: Callable[[], object], what: str) -> None:
    """Press keys until a condition holds.

    A page that has just opened may not listen yet. A repetition comes only after a while: a key that toggles, if it
    arrives late and twice, has no effect.
    """
    for _ in range(5):
        for key in keys:
            page.keyboard.press(key, delay=_PRESS_MS)
        if _follows(page, condition):
            return
    raise AssertionError(f"pressed {keys} in vain until {what}")


def hold_until(page: Page, key: str, condition: Callable[[], object], what: str) -> None:
    """Hold a key down until a condition holds, and release it.

    A page that has just opened may have missed the press, so the key is pressed anew after a while.
    """
    for _ in range(10):
        page.keyboard.down(key)
        follows = _follows(page, condition)
        page.keyboard.up(key)
        if follows:
            return
    raise AssertionError(f"held {key} in vain until {what}")


def _follows(page: Page, condition: Callable[[], object]) -> bool:
    """Wait up to 15 seconds for a condition and return whether it held."""
    for _ in range(150):
        if condition():
            return True
        page.wait_for_timeout(100)
    return False


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start headless Chromium that draws in software."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "Chromium is missing; `make test-browser` installs it (apt-get install chromium)."
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *_SOFTWARE_GL])
        yield browser
        browser.close()


def open_page(browser: Browser, url: str, *, present: Callable[[], bool] | None = None) -> Page:
    """Open the console and wait until it hears the page."""
    page = browser.new_page(viewport={"width": 800, "height": 450})
    page.goto(url)
    if present is not None:
        wait_until(present, "the console hears the page", page)
    return page


class ConsoleLoop(Subscriber):
    """A rollout with a console and a still policy, in a thread.

    Args:
        drives: True if the operator drives from the start.
        obs: observations of the policy.
        task: a task, or the id of another package's environment.
    """

    def __init__(self, *, drives: bool, obs: ObsName = "pixels", task: Task | str | None = None) -> None:
        self._obs: ObsName = obs
        self._drives, self._task = drives, task or PickCube()
        self.steps: list[Any] = []
        self.counters = RunCounters()
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(PATIENCE_S)
        self._raise()

    def _run(self) -> None:
        try:
            options = EnvOptions(obs=self._obs, max_episode_steps=100_000)
            task = self._task
            self.env: Any = GymnasiumEnv(task, options) if isinstance(task, str) else ManipulationEnv(task, options)
            env = self.env
            self.session = ConsoleSession(env, Role(drives=self._drives), console=ConsoleConfig(view="web"))
            self.operator = self.session.operator
            rollout = Rollout(env, self.operator, [self.counters, self, self.session], EpisodeSeeds(0, "test"))
            policy = hold_still(env.experience.action.size)
            with self.session.active(Interrupt()):
                self._ready.set()
                while not self._stop.is_set() and not self.operator.done:
                    rollout.step(policy)
                    # At full speed, an endless episode fills the memory with its images.
                    if not self.operator.in_real_time:
                        self._stop.wait(_WATCHED_STEP_S)
            env.close()
        except BaseException as failure:  # noqa: BLE001 - it is raised again in the test's thread
            self._failure = failure
            self._ready.set()

    def on_step(self, step: Any) -> None:
        self.steps.append(step)

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    @property
    def url(self) -> str:
        return self.session._console.url or ""

    @property
    def tcp_m(self) -> np.ndarray:
        return self.env.simulation.arm.tcp_position_m

    def present(self) -> bool:
        self._raise()
        return self.session._console._inbox.present

    @property
    def driven(self) -> bool:
        return self.operator.control is Control.HUMAN

    def close(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE_S)
        collect_viewer()
        self._raise()


@contextmanager
def taken_over(task: Task | str) -> Iterator[tuple[ConsoleLoop, Page]]:
    """Run a loop and take over from a slow page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(viewers, "SILENCE_S", 8.0)
        patch.setattr(viewers, "PING_S", 60.0)
        loop = ConsoleLoop(drives=False, obs="state", task=task)
        with contextlib.closing(loop), chromium() as browser:
            page = open_page(browser, loop.url, present=loop.present)
            press_until(page, ";", lambda: loop.driven, "the operator drives")
            yield loop, page


def collect_viewer() -> None:
    """Collect the socket and the streams that Studio's server leaves open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
