"""What a policy can do alone: deterministic, on seeds of its own, nobody watching."""

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
    """Autonomous episodes, counted."""

    successes: int
    episodes: int
    mean_episode_steps: float
    mean_episode_seconds: float
    """Simulated seconds, failures included at their full length."""
    mean_return: float | None = None
    """Undiscounted, where the reward is something else than the success."""
    tells_success: bool = True
    """Whether there is such a thing as a success."""
    return_to_reach: float | None = None
    """At which it counts as solved where there is not."""

    @property
    def success_rate(self) -> float:
        return self.successes / self.episodes

    @property
    def wilson_95(self) -> tuple[float, float]:
        return wilson_interval(self.successes, self.episodes)

    def as_dict(self) -> dict[str, Any]:
        figures = {"success_rate": self.success_rate, "wilson_95": list(self.wilson_95), "solved": self.is_solved}
        return {**asdict(self), **figures}

    @property
    def is_solved(self) -> bool:
        """Whether no episode failed or, where there is no success, whether the return is as high as was asked for."""
        if self.tells_success:
            return self.successes == self.episodes
        if self.mean_return is None or self.return_to_reach is None:
            return False
        return self.mean_return >= self.return_to_reach

    def __str__(self) -> str:
        low, high = self.wilson_95
        parts = [f"{self.mean_episode_seconds:.1f} s an episode"]
        if self.mean_return is not None:
            parts.insert(0, f"mean return {self.mean_return:.4g}")
        if self.tells_success:
            interval = f"95 % interval {100 * low:.1f} to {100 * high:.1f} %"
            return ", ".join([f"{self.successes} of {self.episodes} episodes succeed ({interval})", *parts])
        return f"{self.episodes} episodes: {', '.join(parts)}"


@dataclass(frozen=True)
class Player:
    """All that acting alone needs: a policy and the encoder of what it sees."""

    actor: Actor
    frames: FrameEncoder

    @classmethod
    def of(cls, agent: Agent) -> Self:
        """What an agent is judged by: the average of its recent actors."""
        return cls(agent.ema_actor, agent.frame_encoder)

    def act(self, observation: dict[str, np.ndarray]) -> np.ndarray:
        """The deterministic action, float32 [n]."""
        return act(self.actor, self.frames.encode(observation), jax.random.key(0), explore=False)


def evaluate(
    env: InteractiveEnv,
    player: Player,
    episodes: int,
    first_seed: int,
    control_dt_s: float,
    after_episode: Callable[[int, bool], object] | None = None,
) -> Evaluation:
    """Runs the deterministic policy on seeds `first_seed`, `first_seed + 1`, ...

    `after_episode` is told each seed and whether it succeeded.
    """
    successes, steps, returns = 0, [], []
    for seed in range(first_seed, first_seed + episodes):
        success, length, episode_return = play_episode(env, player, seed)
        successes += success
        steps.append(length)
        returns.append(episode_return)
        if after_episode:
            after_episode(seed, success)
    return Evaluation(
        successes,
        episodes,
        float(np.mean(steps)),
        float(np.mean(steps)) * control_dt_s,
        float(np.mean(returns)) if env.is_judged_by_return else None,
        env.tells_success,
        env.return_to_reach,
    )


def play_episode(env: InteractiveEnv, player: Player, seed: int) -> tuple[bool, int, float]:
    """One autonomous episode: whether it succeeded, its length in steps, and its return, undiscounted."""
    observation, _ = env.reset(seed=seed)
    steps, episode_return = 0, 0.0
    while True:
        observation, reward, terminated, truncated, info = env.step(player.act(observation))
        steps, episode_return = steps + 1, episode_return + float(reward)
        if terminated or truncated:
            return bool(info["success"]), steps, episode_return
