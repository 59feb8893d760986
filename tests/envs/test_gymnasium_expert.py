"""An expert script drives another package's environment as a task's own script does."""

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hilserl.cli.main import main
from hilserl.data.spec import ActionLayout
from hilserl.envs.gymnasium_env import GymnasiumEnv
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from hilserl.operators.profiles import PROFILES
from hilserl.rollout.recording import EpisodeRecorder, record_demonstrations
from hilserl.runs.run_dir import RunDir
from hilserl.training.config import preset
from hilserl.training.config_file import load_config
from hilserl.training.trainer import train
from tests.support.child_envs import TASK, write_package
from tests.support.configs import changed
from tests.support.runs import SMALL_AGENT, WRITE_VIDEO, same_weights, weights


@pytest.fixture(autouse=True)
def expert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The expert of the package, which is on the path of both interpreters."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    return f"{write_package(tmp_path)}:right"


def make(expert: str, python: str | None = sys.executable, **changes: Any) -> GymnasiumEnv:
    settings = {"reward": "sparse", "closes_at": {"action_1": 1.0}, "max_episode_steps": 100, **changes}
    return GymnasiumEnv(TASK, EnvOptions(python=python, expert=expert, **settings))


@pytest.mark.parametrize("python", [sys.executable, None])
def test_expert_succeeds_here_and_in_another_interpreter(expert: str, python: str | None) -> None:
    with closing(make(expert, python)) as env:
        assert env.supervision is not None
        env.reset(seed=0)
        seen = [env.supervision.progress()]
        while not env.supervision.succeeded():
            assert env.supervision.expert_action().tolist() == [1.0, -1.0], "to the right, and the gripper closes"
            env.step(env.supervision.expert_action())
            seen.append(env.supervision.progress())
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


def test_gripper_keeps_its_command_and_the_state_tells_it(expert: str) -> None:
    with closing(make(expert)) as env:
        assert env.experience.action == ActionLayout(("action_0", "gripper"), grippers=(1,))
        command = env.experience.gripper_state
        observation, _ = env.reset(seed=0)
        told = [(observation["state"][command[0]], observation["state"][1])]
        for gripper in (0.0, -1.0, 0.2, 1.0, 0.0):
            observation = env.step(np.array([0.0, gripper]))[0]
            told.append((observation["state"][command[0]], observation["state"][1]))
    assert told == [(1, 0), (1, 0), (-1, 2), (-1, 2), (1, 0), (1, 0)], "0 opens this gripper, and 2 closes it"


def test_nominal_ranges_reach_as_far_as_the_expert(expert: str) -> None:
    ranges = []
    for given in (expert, ""):
        with closing(make(given, None)) as env:
            ranges.append(env.experience.state.entries[0].centre[0] + env.experience.state.entries[0].scale[0])
    assert ranges[0] > ranges[1] + 0.2, "the goal at 1 is within twice of it"


@pytest.mark.parametrize("profile", ["steady", "keyboard", "gamepad", "two_minded"])
def test_profiles_of_the_operator_demonstrate(expert: str, tmp_path: Path, profile: str) -> None:
    with closing(make(expert, None)) as env:
        recorder = EpisodeRecorder(tmp_path / "demos", env.experience, 2)
        record_demonstrations(env, recorder, 0, PROFILES[profile])
    assert recorder.successes == 2


def test_faults_of_an_expert_are_sentences(expert: str, tmp_path: Path) -> None:
    file = expert.rpartition(":")[0]
    with pytest.raises(HilserlError, match=r"odd returned \[1.\]; expected \(2,\)"):
        make(f"{file}:odd")
    for python in (sys.executable, None):
        with pytest.raises(HilserlError, match=r"no function 'left'\. Available: odd, right"):
            make(f"{file}:left", python)
    for given in ("right", str(tmp_path / "none.py:right")):
        with pytest.raises(HilserlError, match=r"expected FILE\.py:FUNCTION"):
            make(given)
    with pytest.raises(HilserlError, match="Unknown number of the action"):
        make(expert, None, closes_at={"action_2": 1.0})
    with pytest.raises(HilserlError, match=r"--env\.closes-at action_1 0\.5: expected -1 or 1"):
        make(expert, None, closes_at={"action_1": 0.5})


@pytest.mark.slow
def test_run_with_an_expert_resumes_and_is_evaluated(
    expert: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Episodes have the length of the parts, as an unfinished episode is not resumed."""
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
    settings = changed(
        preset(TASK),
        python=sys.executable,
        expert=expert,
        max_episode_steps=8,
        demonstrations=2,
        reward="success",
        max_env_steps=16,
        training_starts=1,
        update_steps_per_env_step=1.0,
        eval_every=8,
        eval_episodes=1,
        final_eval_episodes=1,
        agent=SMALL_AGENT,
    )
    whole, halves = RunDir(tmp_path / "whole"), RunDir(tmp_path / "halves")
    train(settings, whole)
    train(changed(settings, max_env_steps=8), halves)
    train(settings, halves, resume=True)
    assert same_weights(weights(whole, 16), weights(halves, 16))
    assert load_config(whole.config).env.python == sys.executable
    assert main(["eval", str(whole.path), "--episodes", "2"]) == 0
    assert "of 2 episodes succeed" in capsys.readouterr().out
