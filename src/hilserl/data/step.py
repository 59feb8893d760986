"""One control step, and the transitions that an agent learns from.

A step holds the result of an action, so each observation is stored once: step 0 of an episode is its reset, and step t
carries the action executed from observation t-1 together with observation t.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Observation = dict[str, np.ndarray]
"""`state`: float32 [n]; each camera: uint8 [height, width, 3]."""

RewardFn = Callable[[Observation], bool]
"""Says whether an observation shows a success."""


@dataclass(frozen=True)
class Step:
    """What one control step led to; step 0 of an episode is its reset, with a zero action."""

    episode: int
    index: int
    observation: dict[str, np.ndarray]
    """`state`: float32 [n]; each camera: uint8 [height, width, 3]."""
    action: np.ndarray
    """float32 [m], as executed, whoever chose it."""
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    success: bool = False
    """What is learned from: the reward's word, or that of a person, which goes before it."""
    claimed: bool = False
    """The reward's word, before anybody denied it."""
    truth: bool = False
    """What the environment itself knows, noted and not learned from; as `success` where it knows nothing."""
    intervened: bool = False
    """A person (or the simulated operator) chose the action."""
    policy_version: int = 0
    """How many learner rounds the weights had seen that chose the action."""
    human_seconds: float = 0.0
    """How much of a person's time the step took; 0 where the policy acted."""
    seed: int = 0
    """What the episode's environment was reset with, so that it can be played again."""

    @property
    def is_reset(self) -> bool:
        return self.index == 0

    @property
    def ends_episode(self) -> bool:
        return self.terminated or self.truncated


class Transitions(NamedTuple):
    """What an agent learns from, in NumPy's or JAX's arrays; all have the same leading axes."""

    observation: dict[str, Any]
    action: Any
    """float32 [..., m]"""
    reward: Any
    """float32 [...]"""
    next_observation: dict[str, Any]
    bootstrap: Any
    """float32 [...]: 0 where the episode terminated, else 1."""
    demonstrated: Any
    """bool [...]: whether a person chose the action, in a demonstration or an intervention."""
