"""Every registered task keeps Gymnasium's contract and this project's own."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from hilserl import tasks
from hilserl.envs.options import ObsName
from hilserl.errors import HilserlError


@pytest.mark.parametrize("name", tasks.names())
@pytest.mark.parametrize("obs", ["state", "pixels"])
def test_task_keeps_gymnasiums_contract(name: str, obs: ObsName) -> None:
    env = tasks.make_sim_env(name, obs=obs)
    check_env(env, skip_render_check=True)
    env.close()


@pytest.mark.parametrize("name", tasks.names())
def test_task_steps_and_describes_itself(name: str) -> None:
    env = tasks.make_sim_env(name)
    observation, _ = env.reset(seed=0)
    assert observation["state"].shape == (env.experience.state.size,)
    assert env.experience.task == name
    assert env.task_description == tasks.find(name).summary
    spec = gymnasium.spec(tasks.gymnasium_id(name))
    assert spec.max_episode_steps == tasks.find(name).max_episode_steps
    rng = np.random.default_rng(0)
    for _ in range(10):
        observation, _, _, _, info = env.step(rng.uniform(-1, 1, env.action_space.shape))
        assert np.isfinite(observation["state"]).all()
        assert isinstance(info["success"], bool)
        assert info["is_success"] == info["success"]
        assert 0 <= env.supervision.progress() <= 1
        assert np.abs(env.supervision.expert_action()).max() <= 1


@pytest.mark.parametrize("name", tasks.names())
def test_pixel_observation_hides_the_objects_state(name: str) -> None:
    env = tasks.make_sim_env(name, obs="pixels")
    private = {e.name for e in tasks.find(name).state}
    assert private
    assert not private & set(env.experience.state.names)
    observation, _ = env.reset(seed=0)
    assert observation.keys() == {"state", *tasks.find(name).cameras}
    assert all(observation[camera].shape == (128, 128, 3) for camera in tasks.find(name).cameras)
    assert all(observation[camera].dtype == np.uint8 for camera in tasks.find(name).cameras)
    again, _ = env.reset(seed=0)
    assert all(np.array_equal(observation[key], again[key]) for key in observation)
    env.close()


def test_gymnasium_makes_tasks_without_importing_us() -> None:
    program = (
        "import gymnasium, sys; assert 'hilserl' not in sys.modules;"
        "env = gymnasium.make('hilserl.tasks:hilserl/PickCube-v0'); env.reset(seed=0);"
        "print(env.step(env.action_space.sample())[1])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "0.0"


def test_env_renders_at_any_size() -> None:
    env = gymnasium.make("hilserl/PickCube-v0", render_mode="rgb_array", width=200, height=100)
    env.reset(seed=0)
    image = env.render()
    assert isinstance(image, np.ndarray)
    assert image.shape == (100, 200, 3)
    assert image.std() > 10, "the image shows something"
    env.close()


def test_unknown_tasks_name_the_nearest() -> None:
    with pytest.raises(HilserlError, match=r"Did you mean 'pick_cube'\? Available: .*pick_cube"):
        tasks.find("pick_cub")
    assert tasks.find("pick-cube").name == "pick_cube"


def test_name_is_taken_once() -> None:
    with pytest.raises(HilserlError, match="exists already"):
        tasks.register(tasks.find("pick_cube"))
