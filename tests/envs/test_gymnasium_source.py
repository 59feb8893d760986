"""A control step may be several steps of another package's environment."""

import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from hilserl.envs.config import EnvConfig
from hilserl.envs.gymnasium_env import GymnasiumEnv
from hilserl.envs.make import make_env
from hilserl.envs.options import EnvOptions
from hilserl.errors import HilserlError
from tests.support.child_envs import TASK, write_package

SLIDE, BARE = (f"tests.support.toy_envs:toys/{kind}-v0" for kind in ("Slide", "Bare"))
FULL = np.ones(1, np.float32)


def slide(**options: object) -> GymnasiumEnv:
    return GymnasiumEnv(SLIDE, EnvOptions(**options))  # pyright: ignore[reportArgumentType]


def test_control_step_repeats_the_action_and_adds_the_rewards() -> None:
    with closing(slide()) as once, closing(slide(action_repeat=3)) as thrice:
        once.reset(seed=0)
        thrice.reset(seed=0)
        single = [once.step(0.1 * FULL) for _ in range(3)]
        observation, reward, _, _, info = thrice.step(0.1 * FULL)
    assert reward == pytest.approx(sum(step[1] for step in single))
    np.testing.assert_array_equal(observation["state"], single[-1][0]["state"])
    assert info == single[-1][4]
    assert thrice.experience.control_dt_s == pytest.approx(3 * once.experience.control_dt_s)
    assert thrice.metadata["render_fps"] == pytest.approx(once.metadata["render_fps"] / 3)


@pytest.mark.parametrize(("limit", "steps"), [(2, 2), (None, 3)])
def test_limit_counts_control_steps(limit: int | None, steps: int) -> None:
    """The environment's own limit of 8 ends the third control step."""
    with closing(slide(action_repeat=3, max_episode_steps=limit)) as env:
        env.reset(seed=0)
        ends = [env.step(0 * FULL)[3] for _ in range(steps)]
    assert ends == [False] * (steps - 1) + [True]


def test_end_of_an_episode_ends_the_control_step() -> None:
    with closing(GymnasiumEnv(BARE, EnvOptions(action_repeat=100, max_episode_steps=1))) as env:
        env.reset(seed=0)
        _, reward, terminated, _, _ = env.step(-FULL)
    assert terminated
    assert reward > -100


@pytest.mark.parametrize("python", [sys.executable, None])
def test_expert_acts_once_a_control_step(python: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    counts = []
    for repeat in (1, 4):
        options = EnvOptions(
            python=python, expert=f"{write_package(tmp_path)}:right", reward="sparse", action_repeat=repeat
        )
        with closing(GymnasiumEnv(TASK, options)) as env:
            assert env.supervision is not None
            env.reset(seed=0)
            count = 0
            while not env.supervision.succeeded():
                env.step(env.supervision.expert_action())
                count += 1
        counts.append(count)
    assert counts[1] == -(-counts[0] // 4)


def test_task_of_hilserl_repeats_no_action() -> None:
    with pytest.raises(HilserlError, match="pick_cube is a task of hilserl: it has no action_repeat, got 2"):
        make_env(EnvConfig(task="pick_cube", action_repeat=2))
