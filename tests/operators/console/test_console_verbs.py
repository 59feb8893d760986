"""Whole verbs driven through a browser: a demonstration is recorded, and a training run is intervened in."""

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

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
from tests.support.console_page import chromium, open_page, press_until, wait_until
from tests.support.loopback import free_port
from tests.support.robot_rig import ask, running_robot_server

pytestmark = pytest.mark.browser
ALIGNED_M = 0.012
"""The fingers stand 2 cm apart from the cube on either side."""
FAR_M = 0.05


class Verb:
    """A verb in a process of its own, and the last it told."""

    def __init__(self, *words: str, console: str = "web") -> None:
        self.port = free_port()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `end`)
        command = [sys.executable, str(Path(__file__).parents[2] / "support" / "console_verb.py"), *words]
        self._process = subprocess.Popen(
            [*command, "--console.view", console, "--console.port", str(self.port)],
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.told: dict[str, Any] = {}
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if "{" in line:
                self.told = json.loads(line[line.index("{") :])
            else:
                self.lines.append(line)

    @property
    def is_announced(self) -> bool:
        assert not self.has_ended, self.errors
        return any("Console: http" in line for line in self.lines)

    @property
    def errors(self) -> str:
        """What it has written to its error output."""
        self._errors.seek(0)
        return self._errors.read()

    @property
    def is_ending(self) -> bool:
        """Whether its loop is over, though it still evaluates, which may take a busy machine a minute."""
        return any(line.startswith("ends: ") for line in self.lines)

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def end(self) -> int:
        """Its exit status once it has ended by itself."""
        status = self._process.wait()
        self._reader.join()
        return status

    def close(self) -> None:
        """Ends it where it runs on."""
        if not self.has_ended:
            self._process.kill()
        self.end()
        assert self._process.stdout
        self._process.stdout.close()
        self._errors.close()


@contextmanager
def driven(*words: str) -> Iterator[tuple[Verb, Page]]:
    verb = Verb(*words)
    try:
        wait_until(lambda: verb.is_announced, "the verb has opened its console")
        with chromium() as browser:
            page = open_page(browser, f"http://127.0.0.1:{verb.port}/")
            page.wait_for_timeout(3000)
            yield verb, page
    finally:
        verb.close()


def lead(verb: Verb, page: Page, axis: int, distance_m: float) -> None:
    """Holds a key for as long as a distance takes, slowly for a short one, and waits until the hand stands still.

    A page drawn in software answers a second late, so a person watching it would do the same.
    """
    key = (("w", "s"), ("a", "d"), ("j", "k"))[axis][int(distance_m < 0)]
    slow = abs(distance_m) < FAR_M
    speed_m_per_s = (0.2 if slow else SPEED) * MAX_STEP_M / CONTROL_DT_S
    start = verb.told["tcp"]
    if slow:
        page.keyboard.down("Shift")
    page.keyboard.press(key, delay=max(130.0, 1000 * abs(distance_m) / speed_m_per_s))
    if slow:
        page.keyboard.up("Shift")
    for _ in range(30):
        page.wait_for_timeout(100)
        if abs(verb.told["tcp"][axis] - start[axis]) > 0.003:
            break
    while True:
        before = verb.told["tcp"]
        page.wait_for_timeout(500)
        if np.abs(np.subtract(verb.told["tcp"], before)).max() < 0.001:
            return


def test_a_demonstration_is_recorded_by_pressing_keys_and_training_takes_it(tmp_path: Path) -> None:
    folder = tmp_path / "demos"
    words = ("record", "pick_cube", "--obs", "state", "--operator", "console", "--successes", "1")
    with driven(*words, "--episode-seconds", "600", "--out", str(folder)) as (verb, page):

        def off() -> np.ndarray:
            return np.subtract(verb.told["cube"], verb.told["tcp"])[:2]

        def grasp() -> bool:
            """Comes down over the cube and closes; what is pressed late may miss it."""
            for _ in range(40):
                away = off()
                axis = int(np.abs(away).argmax())
                if abs(away[axis]) < ALIGNED_M:
                    break
                lead(verb, page, axis, away[axis])
            for _ in range(20):
                height = verb.told["tcp"][2] - verb.told["cube"][2]
                if height < ALIGNED_M:
                    break
                lead(verb, page, 2, -height)
            press_until(page, "l", lambda: verb.told["closed"], "the gripper closes")
            for _ in range(100):
                if verb.told["held"]:
                    return True
                page.wait_for_timeout(100)
            press_until(page, "l", lambda: not verb.told["closed"], "the gripper opens again")
            lead(verb, page, 2, FAR_M)
            return False

        wait_until(lambda: verb.told, "the episode is there", page)
        assert any(grasp() for _ in range(4)), f"the cube is not held after four grasps: {verb.told}"
        page.keyboard.down("j")
        wait_until(lambda: verb.has_ended, "the cube is lifted and the recording ends by itself", page)
        assert verb.end() == 0, verb.errors
    env = make_sim_env("pick_cube", obs="state")
    (steps,) = read_episodes(folder, env.experience)
    assert steps[-1].success
    assert steps[-1].terminated
    assert all(step.intervened and step.human_seconds > 0 for step in steps[1:])
    assert np.any(steps[1].action), "the time before the first motion is not in it"
    assert len(Replay(env.experience, 2, steps).prior_rows()) == len(steps) - 1
    env.close()
    words = ("train", "pick_cube", "--obs", "state", "--demos", str(folder), "--max-env-steps", "12", *TINY)
    run = RunDir(tmp_path / "run")
    assert main([*words, "--run-dir", str(run.path)]) == 0
    assert run.read_result()["env_steps"] >= 12


TINY = (
    *("--training-starts", "4", "--eval-every", "100000", "--eval-episodes", "1", "--final-eval-episodes", "1"),
    *(
        "--agent.batch-size",
        "8",
        "--agent.hidden",
        "8",
        "8",
        "--max-minutes",
        "5",
        "--update-steps-per-env-step",
        "0.1",
    ),
)


def test_an_intervention_arrives_as_prior_data_with_the_right_boundaries(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    words = ("train", "pick_cube", "--obs", "state", "--operator", "console", "--demonstrations", "1")
    limits = ("--max-env-steps", "1000000", "--run-dir", str(run.path))
    with driven(*words, *limits, *TINY) as (verb, page):
        wait_until(lambda: verb.told, "the run goes on", page)
        for _ in range(2):
            assert not verb.told["human"]
            press_until(page, ";", lambda: verb.told["human"], "the person drives")
            page.keyboard.down("k")
            page.wait_for_timeout(1000)
            page.keyboard.up("k")
            press_until(page, ";", lambda: not verb.told["human"], "the policy drives again")
            episode = verb.told["episode"]
            wait_until(lambda episode=episode: verb.told["episode"] > episode, "the episode ends", page)
        press_until(page, ("Escape", "Escape"), lambda: verb.has_ended or verb.is_ending, "the run ends")
        page.close()
        wait_until(lambda: verb.has_ended, "the run has ended")
        assert verb.end() == 0, verb.errors
        prior = verb.told["prior"]
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


def test_an_arm_behind_a_robot_server_is_driven_from_the_browser() -> None:
    """In the tool's frame, too, forward is away from the robot."""
    with running_robot_server() as port:
        where = ("--env", "robot", "--server", f"http://127.0.0.1:{port}", "--env.frame", "tool")
        with driven("play", "pick_cube", "--obs", "state", *where) as (verb, page):
            wait_until(lambda: verb.told, "the arm is home", page)
            x, y, _ = verb.told["tcp"]
            page.keyboard.down("w")
            wait_until(lambda: verb.told["tcp"][0] > x + 0.04, "the arm has moved forward", page)
            page.keyboard.up("w")
            measured = ask(port, "POST", "/getstate").json["pose"]
            assert measured[0] > x + 0.03
            assert abs(measured[1] - y) < 0.02
            press_until(page, "l", lambda: ask(port, "POST", "/get_gripper").json["gripper"] < 0.1, "the hand closes")
            press_until(page, ("Escape", "Escape"), lambda: verb.has_ended, "the play ends")
            assert verb.end() == 0, verb.errors
        assert ask(port, "GET", "/health").json["controller"] is None, "the arm is let go"
