"""What several tests share."""

import os
import tempfile

# Compiled once, used by every test and by the processes that tests start.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", f"{tempfile.gettempdir()}/hilserl-test-compilations")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")

from collections.abc import Iterator

import numpy as np
import pytest

from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_env


@pytest.fixture(scope="session")
def shared_env() -> Iterator[ManipulationEnv]:
    """One pick-cube environment for tests that reset it themselves."""
    env = make_env("pick_cube")
    yield env
    env.close()


@pytest.fixture
def spec() -> ExperienceSpec:
    """A small spec with one camera and one gripper."""
    state = StateLayout((entry("position_m", 2), entry("gripper_command", 1)))
    return ExperienceSpec("toy", state, ActionLayout(("dx", "gripper"), grippers=(1,)), (("eye", (2, 3, 3)),))


@pytest.fixture
def state_spec(spec: ExperienceSpec) -> ExperienceSpec:
    """The same without the camera."""
    return ExperienceSpec(spec.task, spec.state, spec.action)


def make_step(episode: int, index: int, value: float | None = None, *, camera: bool = True, **flags) -> Step:
    """A toy step that can be told from every other: its numbers are made of episode and index."""
    value = 100.0 * episode + index if value is None else value
    observation = {"state": np.array([value, -value, 1.0], np.float32)}
    if camera:
        observation["eye"] = np.full((2, 3, 3), int(value) % 256, np.uint8)
    action = np.array([0.0 if index == 0 else 0.001 * value, 0.0], np.float32)
    return Step(episode, index, observation, action, **flags)


def make_episode(episode: int, length: int, *, terminated: bool = False, intervened: tuple[int, ...] = (), **kwargs):
    """A reset and `length` steps; the last one terminates or, otherwise, runs out of time."""
    steps = [make_step(episode, 0, **kwargs)]
    for index in range(1, length + 1):
        last = index == length
        steps.append(
            make_step(
                episode,
                index,
                reward=float(last and terminated),
                terminated=last and terminated,
                truncated=last and not terminated,
                success=last and terminated,
                intervened=index in intervened,
                **kwargs,
            )
        )
    return steps
