"""The page that tells how to add a task: its example is built and installed as it says, and does what it says."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from hilserl.sim.environment import ManipulationEnv
from tests.support.demonstrator import demonstrated_successes

PAGE = (Path(__file__).parents[2] / "docs" / "add_a_task.md").read_text()


def block(kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's package where `pip install` put it."""
    source, target = tmp_path_factory.mktemp("my_tasks"), tmp_path_factory.mktemp("installed")
    (source / "press_button.py").write_text(block("python"))
    (source / "pyproject.toml").write_text(block("toml"))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", str(target), str(source)], check=True)
    return target


def hilserl(directory: Path, *words: str) -> str:
    path = os.pathsep.join([str(directory), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-W", "error", "-m", "hilserl", *words]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def env(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManipulationEnv]:
    monkeypatch.syspath_prepend(str(installed))
    from press_button import PressButton  # pyright: ignore[reportMissingImports]

    made = ManipulationEnv(PressButton())
    yield made
    made.close()


def test_own_task_is_about_fifty_lines() -> None:
    assert len(block("python").splitlines()) <= 55


def test_own_task_is_listed_and_trains(installed: Path) -> None:
    assert "press_button" in hilserl(installed, "tasks")
    tiny = ("--demonstrations", "1", "--max-env-steps", "4", "--training-starts", "1", "--final-eval-episodes", "1")
    small = ("--agent.hidden", "16", "--agent.num-critics", "2", "--agent.utd-ratio", "2", "--agent.batch-size", "8")
    short = ("--obs", "state", "--env.max-episode-steps", "10")
    hilserl(installed, "train", "press_button", *short, "--run-dir", "run", *tiny, *small)
    assert (installed / "run" / "result.json").exists()
    assert (installed / "run" / "policy.mp4").exists()


def test_own_task_keeps_gymnasiums_contract(env: ManipulationEnv) -> None:
    check_env(env, skip_render_check=True)


def test_script_succeeds_and_so_does_a_noisy_hand(env: ManipulationEnv) -> None:
    for seed in range(20):
        env.reset(seed=seed)
        assert any(env.step(env.supervision.expert_action())[2] for _ in range(60)), (
            f"seed {seed} was not solved in 60 steps"
        )
    assert demonstrated_successes(env, 20) == 20


def test_button_stays_up_without_a_press(env: ManipulationEnv) -> None:
    env.reset(seed=0)
    for _ in range(20):
        assert not env.step(np.zeros(4))[4]["success"]
    assert env.supervision.progress() < 0.5
