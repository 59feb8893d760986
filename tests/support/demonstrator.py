"""Demonstrations by the simulated operator."""

import numpy as np

from hilserl.operators.simulated import Demonstrator, SimulatedOperatorConfig
from hilserl.sim.environment import ManipulationEnv


def demonstrated_successes(env: ManipulationEnv, episodes: int) -> int:
    """Count the seeds 0, 1, ... that the simulated operator's noisy hand brings to success in time."""
    layout = env.experience.action
    operator = Demonstrator(env.supervision, layout, SimulatedOperatorConfig(), seed=0)
    successes = 0
    for seed in range(episodes):
        env.reset(seed=seed)
        operator.begin_episode(seed)
        for _ in range(env.task.max_episode_steps):
            intent, action = operator.intent(), np.zeros(layout.size)
            action[list(layout.continuous)] = intent.motion
            action[list(layout.grippers)] = intent.grippers
            if env.step(action)[4]["success"]:
                successes += 1
                break
    return successes
