"""The learning algorithms a run can choose from.

An algorithm answers every question in which one differs from another; the rest of a run is the same for all.
"""

import dataclasses
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal

import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from hilserl.agents.agent import AgentConfig, AgentT
from hilserl.agents.cloning import CloningAgent, create_cloning_agent, negative_log_likelihood
from hilserl.agents.sac import SACAgent, create_sac_agent, value
from hilserl.data.replay import ReplaySource
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation, Step, Transitions

AlgorithmName = Literal["rlpd", "sac", "hg-dagger", "bc"]

_HELD_OUT = 10
"""Distance between held-out demonstrations, which a cloning algorithm is measured by."""

ValueFn = Callable[[AgentT, Observation, np.ndarray], float]
"""Returns what an agent expects of an action in an observation."""


@dataclass(frozen=True)
class Algorithm(ABC, Generic[AgentT]):
    """A way of learning."""

    replay_source: ReplaySource
    """Part of the replay that batches draw from."""
    acts: bool = True
    """True if it acts in the environment to learn."""

    @property
    def takes_demonstrations(self) -> bool:
        """True if it learns from demonstrations."""
        return self.replay_source != "online"

    @property
    def needs_demonstrations(self) -> bool:
        """True if it cannot begin without demonstrations."""
        return False

    @property
    def clock(self) -> Literal["env_steps", "update_steps"]:
        """Counter that orders evaluations and names checkpoints."""
        return "env_steps" if self.acts else "update_steps"

    @property
    def value(self) -> ValueFn[AgentT] | None:
        """Value function for the console, or None without critics."""
        return None

    @abstractmethod
    def create(self, spec: ExperienceSpec, config: AgentConfig, seed: int) -> AgentT:
        """Create an agent; the seed decides every weight."""

    @abstractmethod
    def pretraining_update_steps(self, config: AgentConfig, cloning_updates: int, *, demonstrated: bool) -> int:
        """Return the update steps on demonstrations before the first environment step.

        Args:
            config: the agent's settings.
            cloning_updates: updates of behaviour cloning that were asked for.
            demonstrated: True if the run has demonstrations.
        """

    def after_pretraining(self, agent: AgentT) -> AgentT:
        """Return the agent that learns on after pretraining."""
        return agent

    def split_demonstrations(self, steps: Sequence[Step]) -> tuple[Sequence[Step], Sequence[Step]]:
        """Return the steps of demonstrations to learn from, then those held out."""
        return steps, ()

    def held_out_loss(self, agent: AgentT, held_out: Transitions) -> dict[str, float]:
        """Measure the agent on demonstrations that it has not learned from."""
        del agent, held_out
        return {}


@dataclass(frozen=True)
class ActorCriticAlgorithm(Algorithm[SACAgent]):
    """Soft actor-critic, with or without prior data."""

    @override
    def create(self, spec: ExperienceSpec, config: AgentConfig, seed: int) -> SACAgent:
        return create_sac_agent(spec, self._settings(config), seed)

    def _settings(self, config: AgentConfig) -> AgentConfig:
        """Drop the imitation of demonstrations where there are none."""
        return config if self.takes_demonstrations else dataclasses.replace(config, cloning_weight=0.0)

    @property
    @override
    def value(self) -> ValueFn[SACAgent]:
        return value

    @override
    def pretraining_update_steps(self, config: AgentConfig, cloning_updates: int, *, demonstrated: bool) -> int:
        imitates = self._settings(config).cloning_weight > 0 and demonstrated
        return math.ceil(cloning_updates / config.utd_ratio) if imitates else 0

    @override
    def after_pretraining(self, agent: SACAgent) -> SACAgent:
        filters = None if agent.filters_imitation is None else jnp.ones_like(agent.filters_imitation)
        # The average still remembers how it began, and would for another thousand update steps.
        return dataclasses.replace(agent, ema_actor=agent.actor, filters_imitation=filters)


@dataclass(frozen=True)
class CloningAlgorithm(Algorithm[CloningAgent]):
    """Behaviour cloning of demonstrations and, if it acts, of interventions."""

    @property
    @override
    def needs_demonstrations(self) -> bool:
        return True

    @override
    def create(self, spec: ExperienceSpec, config: AgentConfig, seed: int) -> CloningAgent:
        return create_cloning_agent(spec, config, seed)

    @override
    def pretraining_update_steps(self, config: AgentConfig, cloning_updates: int, *, demonstrated: bool) -> int:
        return math.ceil(cloning_updates / config.utd_ratio)

    @override
    def split_demonstrations(self, steps: Sequence[Step]) -> tuple[Sequence[Step], Sequence[Step]]:
        numbers = np.cumsum([step.is_reset for step in steps])
        kept = [bool(number % _HELD_OUT) for number in numbers]
        return list(itertools.compress(steps, kept)), list(itertools.compress(steps, (not keep for keep in kept)))

    @override
    def held_out_loss(self, agent: CloningAgent, held_out: Transitions) -> dict[str, float]:
        losses = negative_log_likelihood(agent, held_out)
        return {f"held_out_{name}": float(value) for name, value in losses.items()}


ALGORITHMS: dict[AlgorithmName, Algorithm[Any]] = {
    # HIL-SERL with an operator (arXiv 2410.21845), RLPD without (arXiv 2302.02948).
    "rlpd": ActorCriticAlgorithm("both"),
    # arXiv 1812.05905: interventions are experience like any other.
    "sac": ActorCriticAlgorithm("online"),
    # arXiv 1810.02890: of what happens while it acts, only the operator's actions are cloned.
    "hg-dagger": CloningAlgorithm("prior"),
    "bc": CloningAlgorithm("prior", acts=False),
}
