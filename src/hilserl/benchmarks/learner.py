"""An agent with a replay of random episodes, for measurements of learning."""

from collections.abc import Callable

import jax
import numpy as np

from hilserl.agents.agent import AgentConfig, update_step
from hilserl.agents.sac import create_sac_agent
from hilserl.benchmarks.rates import BLOCKS, calls_per_s
from hilserl.data.replay import Replay
from hilserl.data.step import Observation, Step, Transitions
from hilserl.envs.options import ObsName
from hilserl.sim.environment import ManipulationEnv
from hilserl.tasks import make_sim_env

BATCH_SIZE = 256
_REPLAY_CAPACITY = 2_000
_EPISODE_STEPS = 100


class LearnerBenchmark:
    """An agent and a replay that holds two episodes of random actions."""

    def __init__(self, obs: ObsName, config: AgentConfig) -> None:
        env = make_sim_env("pick_cube", obs=obs)
        self.agent = create_sac_agent(env.experience, config, seed=0)
        observe = self.agent.frame_encoder.encode
        prior, online = (_random_episode(env, observe, episode) for episode in range(2))
        env.close()
        self._replay = Replay(env.experience, _REPLAY_CAPACITY, prior, self.agent.frame_encoder.stored)
        for step in online:
            self._replay.add(step)
        self.observation = online[0].observation
        self._rng, self._size = np.random.default_rng(0), config.batch_size

    def sample(self, batches: int) -> Transitions:
        """Sample batches as the learner does."""
        return self._replay.sample(self._rng, batches, self._size)

    def update_steps_per_s(self, utd_ratio: int, count: int, blocks: int = BLOCKS) -> float:
        """Measure update steps per second from batches that are in memory already.

        Args:
            utd_ratio: Critic updates in an update step.
            count: Update steps in a block.
            blocks: The result is the median over so many blocks.
        """
        batches, key = self.sample(utd_ratio), jax.random.key(0)

        def learn() -> None:
            self.agent, metrics = update_step(self.agent, batches, key)
            jax.block_until_ready(metrics)

        return calls_per_s(learn, count, blocks)


def _random_episode(env: ManipulationEnv, observe: Callable[[Observation], Observation], episode: int) -> list[Step]:
    rng = np.random.default_rng(episode)
    observation, _ = env.reset(seed=episode)
    steps = [Step(episode, 0, observe(observation), np.zeros(4, np.float32))]
    for index in range(1, _EPISODE_STEPS + 1):
        action = rng.uniform(-1, 1, 4).astype(np.float32)
        observation, reward, terminated, truncated, _ = env.step(action)
        steps.append(Step(episode, index, observe(observation), action, reward, terminated, truncated, terminated))
        if terminated or truncated:
            break
    return steps
