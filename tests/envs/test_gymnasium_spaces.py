"""Observations of other packages: what is taken, what is left out, and how images become colour."""

import logging
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from gymnasium import spaces

from hilserl.envs.gymnasium_env import GymnasiumEnv
from hilserl.envs.gymnasium_spaces import leaves
from hilserl.envs.options import EnvOptions

CAMERAS = "tests.support.toy_envs:toys/Cameras-v0"
TAKEN = {"colour", "clear", "grey", "plain", "unit"}
LEFT_OUT = {"depth", "past", "said", "phase.number"}


@pytest.mark.parametrize("obs", ["state", "pixels"])
def test_env_with_cameras_of_every_kind_can_be_used(obs: Any) -> None:
    """Its depth image and its text are no reason to refuse the rest."""
    with closing(GymnasiumEnv(CAMERAS, EnvOptions(obs=obs, image_size=40))) as env:
        observation, _ = env.reset(seed=0)
        assert env.observation_space.contains(observation)
        assert [(entry.name, entry.size) for entry in env.experience.state.entries] == [("state", 2), ("turn", 9)]
        assert observation["state"][1] == pytest.approx(100 * observation["state"][0])
        assert np.array_equal(observation["state"][2:], np.eye(3).ravel())
        assert set(observation) - {"state"} == (TAKEN if obs == "pixels" else set())
        if obs == "pixels":
            # Resizing goes through other colours, so it rounds.
            for one, other in (("clear", "colour"), ("unit", "colour"), ("plain", "grey")):
                assert np.allclose(observation[one], observation[other], atol=4)
            for channel in range(3):
                assert np.allclose(observation["grey"][..., channel], observation["colour"][..., 0], atol=4)


def test_parts_that_are_left_out_are_named(caplog: pytest.LogCaptureFixture) -> None:
    from tests.support.toy_envs import Cameras

    with caplog.at_level(logging.WARNING):
        numbers, images = leaves("toys", Cameras.observation_space)
    assert {leaf.name for leaf in images} == TAKEN
    assert {leaf.name for leaf in numbers} == {"state", "turn"}
    assert len(caplog.messages) == len(LEFT_OUT)
    for name in LEFT_OUT:
        assert any(f"{name!r} of the observation of toys is left out" in message for message in caplog.messages)


def test_state_with_leading_axes_of_one_stays_a_row() -> None:
    ((leaf,), ()) = leaves("toys", spaces.Box(-1, 1, (1, 1, 5), np.float32))
    assert leaf.shape == (5,)
