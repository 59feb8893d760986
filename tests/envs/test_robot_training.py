"""Every verb that acts, at an arm behind a robot server: recorded, trained, resumed, judged, over a real socket."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest

from hilserl.cli.main import main
from hilserl.data.episodes import read_episode
from hilserl.envs.make import make_env
from hilserl.envs.robot_env import RobotEnv
from hilserl.errors import HilserlError
from hilserl.operators.console.session import ConsoleSession
from hilserl.operators.devices.device import Reading
from hilserl.robot.client.config import RobotConfig
from hilserl.runs.run_dir import RunDir
from hilserl.sim.environment import ManipulationEnv
from hilserl.training.config import TrainConfig
from hilserl.training.config_file import from_json, to_json
from hilserl.training.trainer import Trainer, train
from tests.support.configs import changed
from tests.support.loopback import until
from tests.support.robot_rig import Rig, serving, sim_backend
from tests.support.runs import WRITE_VIDEO, config

SMALL = config(demonstrations=0, max_env_steps=12, update_steps_per_env_step=0.5)


@pytest.fixture(scope="module")
def shared() -> Iterator[Rig]:
    with sim_backend() as backend, serving(backend) as made:
        yield made


@pytest.fixture
def rig(shared: Rig, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(WRITE_VIDEO, lambda *_: None)
    monkeypatch.setattr("hilserl.tasks.pick_cube.PickCube.max_episode_steps", 40)
    return shared


def at(rig: Rig, **changes: Any) -> TrainConfig:
    """A small run at a robot."""
    return changed(SMALL, backend="robot", robot=RobotConfig(f"http://127.0.0.1:{rig.port}"), **changes)


def test_run_acts_at_the_robot_and_evaluates_in_simulation() -> None:
    config = changed(SMALL, backend="robot")
    acting, judging = make_env(config.acting_env), make_env(config.simulated_env)
    assert isinstance(acting, RobotEnv)
    assert isinstance(judging, ManipulationEnv)
    assert acting.experience == judging.experience
    acting.close()
    judging.close()
    with pytest.raises(HilserlError, match="--env sim"):
        make_env(replace(config.acting_env, randomise=True))


def test_backend_is_kept_with_the_run() -> None:
    robot = RobotConfig("http://10.0.0.1:5000", camera_sources={"wrist": "opencv:0"}, compliance={"rotational_Ki": 1.0})
    config = changed(SMALL, backend="robot", robot=robot)
    assert from_json(to_json(config)) == config


def test_run_at_the_robot_stops_and_resumes(rig: Rig, tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    config = at(rig)
    assert train(config, run)
    result = train(changed(config, max_env_steps=20, backend="sim"), run, resume=True)
    assert result
    assert result["env_steps"] == 20
    recorded = [read_episode(path)[0] for path in sorted(run.episodes.glob("*.parquet"))]
    assert sum(len(steps) - 1 for steps in recorded) == 20
    assert rig.get("/health").json["controller"] is None


def test_run_waits_for_a_lost_robot(rig: Rig, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its server ends in the middle of an episode and comes back: the run says so once and goes on."""
    done: list[Any] = []
    with serving(rig.backend) as first:
        config = at(first, max_env_steps=30)
        run = RunDir(tmp_path / "run")

        def work() -> None:
            done.append(train(config, run))

        thread = threading.Thread(target=work)
        thread.start()
        until(lambda: "request_sim_truth_p50_ms" in first.get("/metrics").json, "the first observation")
    until(lambda: "does not answer" in caplog.text, "the complaint")
    with serving(rig.backend, port=first.port):
        thread.join(60)
    assert not thread.is_alive()
    assert done
    assert done[0]["env_steps"] == 30


def test_trouble_ends_the_episode_and_is_told(rig: Rig, tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path / "run")
    run_dir.create()
    with serving(rig.backend) as first, Trainer(at(first), run_dir) as trainer:
        actor = trainer.actor
        assert [actor.step() for _ in range(3)] == ["", "", ""]
        assert not actor.rollout.between_episodes
        first.post("/stop", {"reason": "a hand in the way"})
        assert "a hand in the way" in actor.step()
        assert actor.rollout.between_episodes
        assert actor.rollout.episode == 1
        assert actor.step().endswith("POST /recover."), "another sentence"
        assert actor.step() == "", "told once"
        first.post("/recover")
        assert [actor.step() for _ in range(2)] == ["", ""]
        assert actor.rollout.episode == 1


def test_recorded_at_the_robot_and_judged_there(rig: Rig, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = ["--env", "robot", "--server", f"http://127.0.0.1:{rig.port}"]
    demos, run = tmp_path / "demos", RunDir(tmp_path / "run")
    assert main(["record", "pick_cube", *server, "--obs", "state", "--successes", "2", "--out", str(demos)]) == 0
    steps, spec = read_episode(sorted(demos.glob("*.parquet"))[0])
    assert steps[-1].success
    assert steps[-1].truth
    assert spec == make_env(SMALL.simulated_env).experience
    heights = np.array([s.observation["state"][spec.state.slice("cube_position_m")][2] for s in steps])
    assert heights.max() > 0.1
    train(replace(SMALL, demos=(demos,), max_env_steps=4), run)
    figures = tmp_path / "figures.json"
    assert main(["eval", str(run.path), *server, "--episodes", "1", "--json", str(figures)]) == 0
    said = json.loads(figures.read_text())
    assert said["episodes"] == 1
    assert said["timing"]["steps"] > 0
    assert "of them late" in capsys.readouterr().out
    assert main(["eval", str(run.path), *server, "--episodes", "1", "--video", str(tmp_path / "video.mp4")]) == 1


def test_verb_without_its_robot_names_the_address(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = ["--env", "robot", "--server", "http://127.0.0.1:9"]
    assert main(["record", "pick_cube", *nowhere, "--out", str(tmp_path / "demos")]) == 1
    assert "127.0.0.1:9" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["record", "eval", "play"])
def test_ctrl_c_lets_the_arm_go(rig: Rig, tmp_path: Path, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    server = ["--env", "robot", "--server", f"http://127.0.0.1:{rig.port}"]
    run = tmp_path / "run"
    if verb != "record":
        # A policy that learned in randomised scenes acts in the one real scene.
        train(changed(SMALL, max_env_steps=2, randomise=True), RunDir(run))
    words = {
        "record": ["pick_cube", "--obs", "state", "--out", str(tmp_path / "demos")],
        "eval": [str(run)],
        "play": ["pick_cube", "--policy", str(run)],
    }
    console = MagicMock()
    console.return_value.announcement.return_value = "The console."
    console.return_value.read.return_value = Reading(present=True)
    monkeypatch.setattr(ConsoleSession, "_open_console", console)
    step, controllers = RobotEnv.step, []

    def interrupted(env: RobotEnv, action: np.ndarray) -> None:
        step(env, action)
        controllers.append(rig.get("/health").json["controller"])
        raise KeyboardInterrupt

    monkeypatch.setattr(RobotEnv, "step", interrupted)
    assert main([verb, *words[verb], *server]) == 130
    assert controllers[0].startswith("hilserl on ")
    assert rig.get("/health").json["controller"] is None


@pytest.mark.parametrize(
    "words", [["train", "pick_cube", "--actors", "2"], ["sweep", "pick_cube"], ["compare", "pick_cube"]]
)
def test_arm_is_not_shared_by_several_actors(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hilserl.distributed.ray_cluster.connected", lambda _: pytest.fail("it began"))
    assert main([*words, "--env", "robot"]) == 1
    assert "takes one actor" in capsys.readouterr().err
