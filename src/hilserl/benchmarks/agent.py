"""Speed of updates, batch sampling and action selection."""

from dataclasses import replace

import jax

from hilserl.agents.agent import AgentConfig, act
from hilserl.benchmarks.learner import BATCH_SIZE, LearnerBenchmark
from hilserl.benchmarks.rates import calls_per_s
from hilserl.envs.options import ObsName
from hilserl.training.config import preset


def figures() -> dict[str, float]:
    """Measure the agent of pick_cube, from states and from images."""
    agent = replace(preset("pick_cube").agent, batch_size=BATCH_SIZE)
    return _figures_of("state", "state", agent, 100) | _figures_of("pixel", "pixels", agent, 10)


def _figures_of(name: str, obs: ObsName, config: AgentConfig, count: int) -> dict[str, float]:
    """Measure full updates (critics, gripper, policy, temperature), update steps, sampling and acting."""
    bench = LearnerBenchmark(obs, config)
    updates, update_steps = bench.update_steps_per_s(1, count), bench.update_steps_per_s(config.utd_ratio, count)
    batches = calls_per_s(lambda: bench.sample(1), count)
    observation = bench.observation
    actor, key = bench.agent.actor, jax.random.key(0)
    return {
        f"agent.{name}_updates_per_s": updates,
        f"agent.{name}_rounds_per_s": update_steps,
        f"agent.{name}_batches_sampled_per_s": batches,
        f"agent.{name}_sampling_percent": 100 / (1 + batches / updates),
        f"agent.{name}_actions_per_s": calls_per_s(lambda: act(actor, observation, key, explore=True), count),
    }
