"""A person's hands at a task."""

import numpy as np

from hilserl.operators.simulated import Demonstrator, SimulatedOperatorConfig
from hilserl.sim.environment import ManipulationEnv


def successes_by_hand(env: ManipulationEnv, episodes: int) -> int:
    """How many of the seeds 0, 1, ... the simulated person's trembling hand brings to success in the time there is."""
    layout = env.experience.action
    hand = Demonstrator(env.supervision, layout, SimulatedOperatorConfig(), seed=0)
    successes = 0
    for seed in range(episodes):
        env.reset(seed=seed)
        hand.begin_episode(seed)
        for _ in range(env.task.max_episode_steps):
            intent, action = hand.intent(), np.zeros(layout.size)
            action[list(layout.continuous)] = intent.motion
            action[list(layout.grippers)] = intent.grippers
            if env.step(action)[4]["success"]:
                successes += 1
                break
    return successes
