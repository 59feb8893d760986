"""Demonstrations that HIL-SERL's way records from the robot server become ours."""

from pathlib import Path

import numpy as np
import pytest

from hilserl.cli.main import main
from hilserl.cli.robot_arms import HIL_SERL_LIMITS
from hilserl.data.episodes import read_episode
from hilserl.envs.config import EnvConfig
from hilserl.envs.make import make_env
from hilserl.sim.control import MAX_STEP_M
from tests.support.hil_serl_recorder import DemoRecorder
from tests.support.robot_rig import serving, sim_backend


@pytest.mark.slow
def test_recording_over_http_is_converted(tmp_path: Path) -> None:
    demos = tmp_path / "demo_data"
    with sim_backend(HIL_SERL_LIMITS) as backend, serving(backend) as rig:
        recorder = DemoRecorder(rig.port, MAX_STEP_M, 32, ("front", "wrist"))
        assert any(recorder.record(seed) for seed in range(5))
        recorder.write(demos / "pick.pkl")
    suggest = ["--map", "suggest", "--task", "pick_cube", "--frame", "tool", "--out", str(demos / "hilserl_map.toml")]
    assert main(["dataset", "convert", str(demos), *suggest]) == 0
    assert main(["dataset", "convert", str(demos), "--out", str(tmp_path / "out")]) == 0
    steps, spec = read_episode(tmp_path / "out" / "000000.parquet")
    env = make_env(EnvConfig(task="pick_cube", frame="tool", obs="pixels"))
    assert spec.state == env.experience.state
    assert spec.action == env.experience.action
    env.close()
    assert len(steps) == len(recorder.transitions) + 1
    assert steps[-1].success
    assert all(step.intervened for step in steps[1:])
    way_m = np.diff([step.observation["state"][spec.state.slice("tcp_from_start_m")] for step in steps], axis=0)
    commanded = np.array([step.action[:3] for step in steps[1:]]) * MAX_STEP_M
    moving = np.linalg.norm(commanded, axis=1) > 0.5 * MAX_STEP_M
    turned = np.sum(way_m[moving] * commanded[moving]) / np.sum(commanded[moving] ** 2)
    assert turned > 0.3, "the tool went where the actions point, in the frame that the mapping says"
    assert {float(step.action[-1]) for step in steps[1:]} >= {-1.0}
