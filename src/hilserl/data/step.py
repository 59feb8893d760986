"""Control steps, and the transitions that an agent learns from.

A step holds the result of an action, so each observation is stored once. Step 0 of an episode is its reset; step t
holds the action executed from observation t-1 together with observation t.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Observation = dict[str, np.ndarray]
"""`state`: float32 [n]; each camera: uint8 [height, width, 3]."""

RewardFn = Callable[[Observation], bool]
"""Function that returns True if an observation shows a success."""


@dataclass(frozen=True)
class Step:
    """Action of one control step with its result.

    Step 0 of an episode is its reset, with a zero action.
    """

    episode: int
    """Number of the episode in its run."""
    index: int
    """Number of the step in its episode."""
    observation: dict[str, np.ndarray]
    """`state`: float32 [n]; each camera: uint8 [height, width, 3]."""
    action: np.ndarray
    """float32 [m], as executed by policy or operator."""
    reward: float = 0.0
    terminated: bool = False
    """True if the task is done; the transition does not bootstrap."""
    truncated: bool = False
    """True if a time limit ended the episode; the transition bootstraps."""
    success: bool = False
    """Success to learn from: the reward function's, unless the operator overruled it."""
    claimed: bool = False
    """Success according to the reward function alone."""
    truth: bool = False
    """Success according to the environment, recorded and never learned from.

    Equal to `success` if the environment does not know it."""
    intervened: bool = False
    """True if the operator, human or simulated, chose the action."""
    policy_version: int = 0
    """Update steps of the weights that chose the action."""
    human_seconds: float = 0.0
    """Seconds of the operator's time; 0 if the policy acted.

    In the reset of a recorded demonstration: of the failed attempts before it, which are not kept."""
    seed: int = 0
    """Seed of the environment's reset, with which the episode can be replayed."""

    @property
    def is_reset(self) -> bool:
        """True if the step is its episode's reset."""
        return self.index == 0

    @property
    def ends_episode(self) -> bool:
        """True if no step of the episode follows."""
        return self.terminated or self.truncated


class Transitions(NamedTuple):
    """Batch to learn from, in arrays of NumPy or JAX.

    All arrays have the same leading axes.
    """

    observation: dict[str, Any]
    """State, float32 [..., n], and each camera's images or features."""
    action: Any
    """Action, float32 [..., m]."""
    imitated: Any
    """Action to imitate where `demonstrated`, float32 [..., m]."""
    reward: Any
    """Reward, float32 [...]."""
    next_observation: dict[str, Any]
    """Observation after the action."""
    bootstrap: Any
    """float32 [...]: 0 if the episode terminated, else 1."""
    demonstrated: Any
    """bool [...]: True if the operator chose the action."""
    taken_over: Any
    """bool [...]: True if the operator took over after the policy's action."""
    gripper_changes: Any
    """float32 [...]: grippers that the action set in motion."""
    return_to_go: Any
    """float32 [...]: discounted return from this step on.

    It is -inf unless the episode terminated."""
    changes_to_go: Any
    """float32 [...]: discounted sum of the gripper changes that belongs to `return_to_go`."""
    succeeds: Any
    """bool [...]: True if the episode ended in success."""
    final_state: Any
    """float32 [..., n]: state at that success; 0 where there is none."""
