"""Verbs of the command line, driven through their console in a browser."""

from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page

from hilserl.cli.main import main
from hilserl.data.replay import Replay
from hilserl.operators.devices.key_map import SPEED
from hilserl.runs.metrics import read_metrics
from hilserl.runs.run_dir import RunDir, read_episodes
from hilserl.sim.control import MAX_STEP_M
from hilserl.sim.task_env import CONTROL_DT_S
from hilserl.tasks import make_sim_env
from tests.support.console_page import hold_until, press_until, wait_until
from tests.support.console_process import ConsoleProcess, browsed
from tests.support.robot_rig import ask, running_robot_server

pytestmark = pytest.mark.browser
ALIGNED_M = 0.012
"""The fingers stand 2 cm apart from the cube on either side."""
FAR_M = 0.05


def lead(process: ConsoleProcess, page: Page, axis: int, distance_m: float) -> None:
    """Hold a key for a distance and wait until the tool stands still.

    A short distance takes the slow speed. A page drawn in software answers a second late.
    """
    key = (("w", "s"), ("a", "d"), ("j", "k"))[axis][int(distance_m < 0)]
    slow = abs(distance_m) < FAR_M
    speed_m_per_s = (0.2 if slow else SPEED) * MAX_STEP_M / CONTROL_DT_S
    start = process.state["tcp"]
    if slow:
        page.keyboard.down("Shift")
    page.keyboard.press(key, delay=max(130.0, 1000 * abs(distance_m) / speed_m_per_s))
    if slow:
        page.keyboard.up("Shift")
    for _ in range(30):
        page.wait_for_timeout(100)
        if abs(process.state["tcp"][axis] - start[axis]) > 0.003:
            break
    while True:
        before = process.state["tcp"]
        page.wait_for_timeout(500)
        if np.abs(np.subtract(process.state["tcp"], before)).max() < 0.001:
            return


def test_record_keeps_a_demonstration_by_keys_that_train_takes(tmp_path: Path) -> None:
    demonstrations = tmp_path / "demos"
    words = ("record", "pick_cube", "--obs", "state", "--operator", "console", "--successes", "1")
    with browsed(*words, "--episode-seconds", "600", "--out", str(demonstrations)) as (process, page):

        def off() -> np.ndarray:
            return np.subtract(process.state["cube"], process.state["tcp"])[:2]

        def grasp() -> bool:
            """Move down over the cube and close the gripper.

            A late key may miss the cube.
            """
            for _ in range(40):
                away = off()
                axis = int(np.abs(away).argmax())
                if abs(away[axis]) < ALIGNED_M:
                    break
                lead(process, page, axis, away[axis])
            for _ in range(20):
                height = process.state["tcp"][2] - process.state["cube"][2]
                if height < ALIGNED_M:
                    break
                lead(process, page, 2, -height)
            press_until(page, "l", lambda: process.state["closed"], "the gripper closes")
            for _ in range(100):
                if process.state["held"]:
                    return True
                page.wait_for_timeout(100)
            press_until(page, "l", lambda: not process.state["closed"], "the gripper opens again")
            lead(process, page, 2, FAR_M)
            return False

        wait_until(lambda: process.state, "the episode is there", page)
        assert any(grasp() for _ in range(4)), f"the cube is not held after four grasps: {process.state}"
        page.keyboard.down("j")
        wait_until(lambda: process.has_ended, "the cube is lifted and the recording ends by itself", page)
        assert process.end() == 0, process.errors
    env = make_sim_env("pick_cube", obs="state")
    (steps,) = read_episodes(demonstrations, env.experience)
    assert steps[-1].success
    assert steps[-1].terminated
    assert all(step.intervened and step.human_seconds > 0 for step in steps[1:])
    assert np.any(steps[1].action), "the time before the first motion is not in it"
    assert len(Replay(env.experience, 2, steps).prior_rows()) == len(steps) - 1
    env.close()
    words = ("train", "pick_cube", "--obs", "state", "--demos", str(demonstrations), "--max-env-steps", "12", *TINY)
    run = RunDir(tmp_path / "run")
    assert main([*words, "--run-dir", str(run.path)]) == 0
    assert run.read_result()["env_steps"] >= 12


TINY = (
    *("--training-starts", "4", "--eval-every", "100000", "--eval-episodes", "1", "--final-eval-episodes", "1"),
    *("--agent.batch-size", "8", "--agent.hidden", "8", "8"),
    *("--max-minutes", "5", "--update-steps-per-env-step", "0.1"),
)


def test_train_keeps_interventions_as_prior_data_with_their_boundaries(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    words = ("train", "pick_cube", "--obs", "state", "--operator", "console", "--demonstrations", "1")
    limits = ("--max-env-steps", "1000000", "--run-dir", str(run.path))
    with browsed(*words, *limits, *TINY) as (process, page):
        wait_until(lambda: process.state, "the run goes on", page)
        for _ in range(2):
            assert not process.state["human"]
            press_until(page, ";", lambda: process.state["human"], "the operator drives")
            page.keyboard.down("k")
            page.wait_for_timeout(1000)
            page.keyboard.up("k")
            press_until(page, ";", lambda: not process.state["human"], "the policy drives again")
            episode = process.state["episode"]
            wait_until(lambda episode=episode: process.state["episode"] > episode, "the episode ends", page)
        press_until(page, ("Escape", "Escape"), lambda: process.has_ended or process.is_ending, "the run ends")
        page.close()
        wait_until(lambda: process.has_ended, "the run has ended")
        assert process.end() == 0, process.errors
        prior = process.state["prior"]
    env = make_sim_env("pick_cube", obs="state")
    episodes = list(read_episodes(run.episodes, env.experience))
    demonstrations = read_episodes(run.demonstrations, env.experience)
    env.close()
    flags = [[step.intervened for step in steps[1:]] for steps in episodes]
    segments = [human for episode in flags for human, _ in groupby(episode)]
    assert segments.count(True) >= 2
    assert prior == sum(map(sum, flags)) + sum(len(steps) - 1 for steps in demonstrations)
    assert all((step.human_seconds > 0) == step.intervened for steps in episodes for step in steps)
    records = read_metrics(run.metrics, "episode")
    assert sum(record["interventions"] for record in records) == segments.count(True)
    assert max(record["intervention_rate"] for record in records) > 0
    assert run.curve.exists()
    result = run.read_result()
    assert result["ended"] == "the operator's wish"
    assert result["human_steps"] == sum(map(sum, flags))


def test_play_drives_an_arm_behind_a_robot_server() -> None:
    """In the tool's reference frame, too, forward is away from the robot."""
    with running_robot_server() as port:
        where = ("--env", "robot", "--server", f"http://127.0.0.1:{port}", "--env.frame", "tool")
        with browsed("play", "pick_cube", "--obs", "state", *where) as (process, page):
            wait_until(lambda: process.state, "the arm is home", page)
            x, y, _ = process.state["tcp"]
            hold_until(page, "w", lambda: process.state["tcp"][0] > x + 0.04, "the arm has moved forward")
            measured = ask(port, "POST", "/getstate").json["pose"]
            assert measured[0] > x + 0.03
            assert abs(measured[1] - y) < 0.02
            press_until(page, "l", lambda: ask(port, "POST", "/get_gripper").json["gripper"] < 0.1, "the hand closes")
            press_until(page, ("Escape", "Escape"), lambda: process.has_ended, "the play ends")
            assert process.end() == 0, process.errors
        assert ask(port, "GET", "/health").json["controller"] is None, "the arm is let go"
