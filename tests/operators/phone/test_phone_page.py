"""Verbs that a phone's page drives, in headless Chromium with emulated sensors."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.tasks import make_sim_env
from tests.support.console_page import wait_until
from tests.support.console_process import ConsoleProcess
from tests.support.phone_page import carry, phone_page

pytestmark = pytest.mark.browser
HOST = ("--operator", "phone", "--console.phone.host", "127.0.0.1", "--obs", "state")
ALIGNED_M = 0.01
TINY = (
    *("--training-starts", "4", "--eval-every", "100000", "--eval-episodes", "1", "--final-eval-episodes", "1"),
    *("--agent.batch-size", "8", "--agent.hidden", "8", "8"),
    *("--max-minutes", "5", "--update-steps-per-env-step", "0.1"),
)


def lead(process: ConsoleProcess, page: Page, goal: str, above_m: float = 0.0) -> None:
    """Carry the phone until the tool is at an object, `above_m` over it."""
    for _ in range(12):
        away = np.array(process.state[goal]) - process.state["tcp"]
        away[2] += above_m
        if np.abs(away).max() < ALIGNED_M:
            return
        carry(page, away, steps=max(4, int(np.abs(away).max() / 0.01)))
        page.wait_for_timeout(400)
    raise AssertionError(f"the tool is not there: {process.state}")


def test_record_keeps_a_demonstration_by_the_phone_s_motion(tmp_path: Path) -> None:
    words = ("record", "pick_cube", *HOST, "--successes", "1", "--episode-seconds", "600", "--out", str(tmp_path / "d"))
    process = ConsoleProcess(*words)
    try:
        with phone_page(process) as page:
            wait_until(lambda: process.state, "the episode is there", page)
            page.locator("#follow").click()
            drive = page.locator("#drive")
            drive.hover()
            before = process.state["tcp"]
            page.evaluate("place = [3, 2, 1]")
            page.mouse.down()
            page.wait_for_timeout(500)
            assert np.abs(np.subtract(process.state["tcp"], before)).max() < 0.005, "the thumb alone moves nothing"
            lead(process, page, "cube", above_m=0.08)
            lead(process, page, "cube")
            page.locator("#gripper").tap()
            wait_until(lambda: process.state["held"], "the cube is held", page)
            while not process.has_ended:
                carry(page, np.array((0.0, 0.0, 0.02)), steps=4)
            assert process.end() == 0, process.errors
    finally:
        process.close()
    env = make_sim_env("pick_cube", obs="state")
    (steps,) = read_episodes(tmp_path / "d", env.experience)
    env.close()
    assert steps[-1].success
    assert all(step.intervened and step.human_seconds > 0 for step in steps[1:])


def test_train_takes_over_by_the_pads_and_hands_back_when_the_page_sleeps(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    words = ("train", "pick_cube", *HOST, "--demonstrations", "1", "--max-env-steps", "1000000")
    process = ConsoleProcess(*words, "--run-dir", str(run.path), *TINY)
    try:
        with phone_page(process) as page:
            wait_until(lambda: process.state, "the run goes on", page)
            page.locator("#takeover").tap()
            wait_until(lambda: process.state["human"], "the operator drives", page)
            wait_until(lambda: page.locator("#title").text_content() == "YOU DRIVE", "the page says so", page)
            height = process.state["tcp"][2]
            box = page.locator("#lift").bounding_box()
            assert box
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            page.mouse.down()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 - 60, steps=4)
            wait_until(lambda: process.state["tcp"][2] > height + 0.02, "the tool is lifted", page)
            page.close()
            wait_until(lambda: not process.state["human"], "the policy drives again")
            episode = process.state["episode"]
            wait_until(lambda: process.state["episode"] > episode, "the episode ends")
    finally:
        process.close()
    env = make_sim_env("pick_cube", obs="state")
    flags = [step.intervened for steps in read_episodes(run.episodes, env.experience) for step in steps[1:]]
    env.close()
    assert [human for human, _ in groupby(flags)] == [False, True, False]
