"""What a policy can do alone: deterministic, on seeds of its own, nobody watching."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

import gymnasium
import jax
import numpy as np

from hilserl.agents.agent import Actor, Agent, act
from hilserl.statistics import wilson_interval
from hilserl.vision.frames import FrameEncoder


@dataclass(frozen=True)
class Evaluation:
    """Autonomous episodes, counted."""

    successes: int
    episodes: int
    mean_episode_steps: float
    mean_episode_seconds: float
    """Simulated seconds, failures included at their full length."""

    @property
    def success_rate(self) -> float:
        return self.successes / self.episodes

    @property
    def wilson_95(self) -> tuple[float, float]:
        return wilson_interval(self.successes, self.episodes)

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "success_rate": self.success_rate, "wilson_95": list(self.wilson_95)}

    def __str__(self) -> str:
        low, high = self.wilson_95
        return (
            f"{self.successes} of {self.episodes} episodes succeed "
            f"(95 % interval {100 * low:.1f} to {100 * high:.1f} %), {self.mean_episode_seconds:.1f} s an episode"
        )


@dataclass(frozen=True)
class Player:
    """All that acting alone needs: a policy and the encoder of what it sees."""

    actor: Actor
    frames: FrameEncoder

    @classmethod
    def of(cls, agent: Agent) -> Self:
        """What an agent is judged by: the average of its recent actors."""
        return cls(agent.averaged, agent.frames)

    def act(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """The deterministic action, float32 [n]."""
        return act(self.actor, self.frames.observe(observation), jax.random.key(0), explore=False)


def evaluate(
    env: gymnasium.Env[Any, Any],
    player: Player,
    episodes: int,
    first_seed: int,
    control_dt_s: float,
    after_episode: Callable[[int, bool], object] | None = None,
) -> Evaluation:
    """Runs the deterministic policy on seeds `first_seed`, `first_seed + 1`, ...

    `after_episode` is told each seed and whether it succeeded.
    """
    successes, steps = 0, []
    for seed in range(first_seed, first_seed + episodes):
        success, length = play_episode(env, player, seed)
        successes += success
        steps.append(length)
        if after_episode:
            after_episode(seed, success)
    return Evaluation(successes, episodes, float(np.mean(steps)), float(np.mean(steps)) * control_dt_s)


def play_episode(env: gymnasium.Env[Any, Any], player: Player, seed: int) -> tuple[bool, int]:
    """One autonomous episode: whether it succeeded, and its length in steps."""
    observation, _ = env.reset(seed=seed)
    steps = 0
    while True:
        observation, _, terminated, truncated, info = env.step(player.act(observation))
        steps += 1
        if terminated or truncated:
            return bool(info["success"]), steps
