"""Measure the speed of gym-hil by the rule of `hilserl.benchmarks.sim`.

The script runs in a virtual environment with gym-hil, so it imports nothing from hilserl.
"""

import json
import time

import gym_hil  # noqa: F401  # pyright: ignore[reportMissingImports]
import gymnasium
import numpy as np


def steps_per_s(image_obs: bool, count: int) -> float:
    """Measure environment steps per second under random actions, resets included."""
    env = gymnasium.make("gym_hil/PandaPickCubeBase-v0", image_obs=image_obs)
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    started = 0.0
    warm_up = max(1, count // 10)
    for index in range(count + warm_up):
        if index == warm_up:
            started = time.perf_counter()
        _, _, terminated, truncated, _ = env.step(rng.uniform(-0.025, 0.025, env.action_space.shape))
        if terminated or truncated:
            env.reset()
    return count / (time.perf_counter() - started)


print(
    json.dumps(
        {
            "sim.gym_hil_state_steps_per_s": steps_per_s(False, 200),
            "sim.gym_hil_pixel_steps_per_s": steps_per_s(True, 10),
        }
    )
)
