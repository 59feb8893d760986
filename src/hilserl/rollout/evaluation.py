"""Evaluation of a policy that acts alone."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

import jax
import numpy as np

from hilserl.agents.agent import Actor, Agent, act
from hilserl.data.episode_summary import wilson_interval
from hilserl.envs.env import InteractiveEnv
from hilserl.vision.frame_encoder import FrameEncoder


@dataclass(frozen=True)
class Evaluation:
    """Counts of autonomous episodes."""

    successes: int
    episodes: int
    mean_episode_steps: float
    mean_episode_seconds: float
    """Simulated seconds; failures count with their full length."""
    mean_return: float | None = None
    """Undiscounted return, or None where the reward is the success."""
    tells_success: bool = True
    """True if the environment knows a success."""
    return_to_reach: float | None = None
    """Return that counts as solved in an environment without success."""

    @property
    def success_rate(self) -> float:
        """Successes per episode, 0 to 1."""
        return self.successes / self.episodes

    @property
    def wilson_95(self) -> tuple[float, float]:
        """The 95 % Wilson interval of the success rate."""
        return wilson_interval(self.successes, self.episodes)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures for JSON."""
        figures = {"success_rate": self.success_rate, "wilson_95": list(self.wilson_95), "solved": self.is_solved}
        return {**asdict(self), **figures}

    @property
    def is_solved(self) -> bool:
        """True if no episode failed. Without success the return must be high enough."""
        if self.tells_success:
            return self.successes == self.episodes
        if self.mean_return is None or self.return_to_reach is None:
            return False
        return self.mean_return >= self.return_to_reach

    def __str__(self) -> str:
        """Summarise the figures in a line."""
        low, high = self.wilson_95
        parts = [f"{self.mean_episode_seconds:.1f} s an episode"]
        if self.mean_return is not None:
            parts.insert(0, f"mean return {self.mean_return:.4g}")
        if self.tells_success:
            interval = f"95 % interval {100 * low:.1f} to {100 * high:.1f} %"
            return ", ".join([f"{self.successes} of {self.episodes} episodes succeed ({interval})", *parts])
        return f"{self.episodes} episodes: {', '.join(parts)}"


@dataclass(frozen=True)
class DeterministicPolicy:
    """An actor with the encoder of its images, without exploration."""

    actor: Actor
    frame_encoder: FrameEncoder

    @classmethod
    def of(cls, agent: Agent) -> Self:
        """Return the policy that an agent is evaluated by, its EMA actor."""
        return cls(agent.ema_actor, agent.frame_encoder)

    def act(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """Return the deterministic action, float32 [n]."""
        return act(self.actor, self.frame_encoder.encode(observation), jax.random.key(0), explore=False)


def evaluate(
    env: InteractiveEnv,
    policy: DeterministicPolicy,
    episodes: int,
    first_seed: int,
    after_episode: Callable[[int, bool], object] | None = None,
    max_failures: int | None = None,
) -> Evaluation:
    """Run the deterministic policy on seeds `first_seed`, `first_seed + 1`, ...

    Args:
        env: the environment; it ends episodes on success.
        policy: the policy to evaluate.
        episodes: most episodes to run.
        first_seed: the first episode's seed.
        after_episode: told each seed and its success.
        max_failures: failed episodes after which the evaluation ends, where the environment knows a success; None runs
            all episodes. Failed episodes are the longest, and a policy that fails often needs no exact figure.
    """
    successes, steps, returns = 0, [], []
    for seed in range(first_seed, first_seed + episodes):
        success, length, episode_return = play_episode(env, policy, seed)
        successes += success
        steps.append(length)
        returns.append(episode_return)
        if after_episode:
            after_episode(seed, success)
        if max_failures and env.tells_success and len(steps) - successes >= max_failures:
            break
    return Evaluation(
        successes,
        len(steps),
        float(np.mean(steps)),
        float(np.mean(steps)) * env.experience.control_dt_s,
        float(np.mean(returns)) if env.is_judged_by_return else None,
        env.tells_success,
        env.return_to_reach,
    )


def play_episode(env: InteractiveEnv, policy: DeterministicPolicy, seed: int) -> tuple[bool, int, float]:
    """Run one autonomous episode.

    Returns:
        Success, length in steps, and undiscounted return.
    """
    observation, _ = env.reset(seed=seed)
    steps, episode_return = 0, 0.0
    while True:
        observation, reward, terminated, truncated, info = env.step(policy.act(observation))
        steps, episode_return = steps + 1, episode_return + float(reward)
        if terminated or truncated:
            return bool(info["success"]), steps, episode_return
