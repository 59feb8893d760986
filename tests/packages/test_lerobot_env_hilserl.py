"""The tasks have the form that LeRobot's evaluation expects."""

import tomllib
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from lerobot_env_hilserl.environment import LeRobotEnv, task_names

import hilserl
from hilserl import tasks
from tests.support.source_code import REPOSITORY

PIXELS = "lerobot_env_hilserl/PickCube-v0"


@pytest.fixture
def env() -> Iterator[gymnasium.Env[Any, Any]]:
    made = gymnasium.make(PIXELS, image_size=32, disable_env_checker=True)
    yield made
    made.close()


def test_tasks_are_registered_with_their_limits() -> None:
    assert set(task_names().values()) == set(tasks.names())
    for env_id, name in task_names().items():
        spec = gymnasium.spec(f"lerobot_env_hilserl/{env_id}")
        assert spec.max_episode_steps == tasks.find(name).max_episode_steps


def test_observation_has_lerobots_names(env: gymnasium.Env[Any, Any]) -> None:
    observation, _ = env.reset(seed=0, options={"lerobot_new_rollout": True})
    assert observation.keys() == {"agent_pos", "pixels"}
    assert env.observation_space.contains(observation)
    assert {name: image.shape for name, image in observation["pixels"].items()} == {
        "front": (32, 32, 3),
        "wrist": (32, 32, 3),
    }


def test_evaluation_finds_what_it_asks_for(env: gymnasium.Env[Any, Any]) -> None:
    assert env.get_wrapper_attr("_max_episode_steps") == tasks.find("pick_cube").max_episode_steps
    assert env.get_wrapper_attr("task_description") == tasks.find("pick_cube").summary
    assert env.get_wrapper_attr("task") == "pick_cube"
    assert env.metadata["render_fps"] == 10
    env.reset(seed=0)
    assert env.step(np.zeros(4, np.float32))[4]["is_success"] is False
    image = env.render()
    assert isinstance(image, np.ndarray)
    assert image.shape == (480, 640, 3)


def test_actions_beyond_their_limits_are_clipped() -> None:
    both = []
    for size in (1.0, 50.0):
        made = LeRobotEnv("pick_cube", obs="state")
        made.reset(seed=0)
        both.append(made.step(np.array([size, -size, size, size], np.float32))[0]["agent_pos"])
        made.close()
    assert np.array_equal(*both)


def test_gripper_classes_close_stay_and_open() -> None:
    commands = {}
    for value in (0.0, 1.0, 2.0):
        made = LeRobotEnv("pick_cube", gripper="classes", obs="state")
        made.reset(seed=0)
        made.step(np.array([0, 0, 0, 0], np.float32))
        action = np.array([0, 0, 0, value], np.float32)
        state = [made.step(action)[0]["agent_pos"] for _ in range(4)][-1]
        commands[value] = state[made._env.experience.state.slice("gripper_command")].item()
        made.close()
    assert commands == {0.0: -1.0, 1.0: -1.0, 2.0: 1.0}


def test_distribution_has_the_name_that_lerobot_looks_for() -> None:
    project = tomllib.loads((REPOSITORY / "packages/lerobot_env_hilserl/pyproject.toml").read_text())["project"]
    assert project["name"] == "lerobot_env_hilserl"
    assert project["version"] == hilserl.__version__
