"""The example scripts: each runs, says what it did, and stays short."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hilserl.operators.simulated import SimulatedOperatorConfig
from hilserl.rollout.recording import EpisodeRecorder, record_demonstrations
from hilserl.tasks import make_sim_env
from tests.support.robot_rig import serving, sim_backend
from tests.support.runs import WRITE_VIDEO

EXAMPLES = Path(__file__).parents[2] / "examples"
MAX_LINES = 60
SCRIPTS = sorted(EXAMPLES.glob("*.py"))


@pytest.fixture
def run_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that runs an example and returns its output."""

    def run(name: str, *words: str | Path) -> str:
        script = EXAMPLES / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(script), *map(str, words)])
        runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_examples_stay_short(script: Path) -> None:
    assert len(script.read_text().splitlines()) < MAX_LINES


def test_train_from_python_and_load_policy(
    tmp_path: Path, run_example: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
    run_dir = tmp_path / "run"
    small = ("--max-env-steps", "20", "--demonstrations", "1", "--eval-episodes", "1")
    assert "of 1 episodes succeed after 20 steps" in run_example("train_from_python", run_dir, *small)
    assert "episode 0:" in run_example("load_policy", run_dir, "--episodes", "1")


def test_own_task_is_solved(run_example: Callable[..., str]) -> None:
    assert "The ball is reached after" in run_example("own_task")


def test_own_operator_takes_over(tmp_path: Path, run_example: Callable[..., str]) -> None:
    shown = run_example("own_operator", "--out", tmp_path / "episodes", "--steps", "20")
    assert "episode 0: 10 of 20 steps by the operator" in shown


def test_read_episodes_prints_one_line_each(tmp_path: Path, run_example: Callable[..., str]) -> None:
    env = make_sim_env("pick_cube", obs="state")
    recorder = EpisodeRecorder(tmp_path / "demos", env.experience, 2)
    record_demonstrations(env, recorder, 0, SimulatedOperatorConfig())
    env.close()
    shown = run_example("read_episodes", tmp_path / "demos")
    assert shown.count("success: True") == 2


def test_drive_the_robot_server_moves_the_arm(run_example: Callable[..., str]) -> None:
    with sim_backend() as backend, serving(backend) as rig:
        shown = run_example("drive_the_robot_server", f"http://127.0.0.1:{rig.port}", "--steps", "2")
    heights = [float(line.split()[-2]) for line in shown.splitlines() if line.startswith("height")]
    assert "mode: impedance" in shown
    assert len(heights) == 4


def test_reach_expert_goes_to_the_goal(run_example: Callable[..., str]) -> None:
    assert run_example("reach_expert").strip() == "[2. 0. 0.]"
