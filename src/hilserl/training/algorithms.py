"""The learning algorithms a run can choose from.

An algorithm answers every question in which one differs from another; the rest of a run is the same for all.
"""

import dataclasses
import functools
import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Literal

import jax.numpy as jnp
import numpy as np
from typing_extensions import override

from hilserl.agents.agent import AgentConfig, AgentT
from hilserl.agents.cloning import CloningAgent, create_cloning_agent, negative_log_likelihood
from hilserl.agents.sac import SACAgent, create_sac_agent, value
from hilserl.data.replay import ReplaySource
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Observation, Step, Transitions
from hilserl.envs.child.host import described, load_file
from hilserl.errors import HilserlError, unknown

_HELD_OUT = 10
"""Distance between held-out demonstrations, which a cloning algorithm is measured by."""

ValueFn = Callable[[AgentT, Observation, np.ndarray], float]
"""Returns what an agent expects of an action in an observation."""


@dataclass(frozen=True)
class Algorithm(ABC, Generic[AgentT]):
    """A way of learning."""

    benchmark_settings: ClassVar[Mapping[str, object]] = MappingProxyType({})
    """Settings by dotted names that `hilserl benchmark` gives it."""
    replay_source: ReplaySource = "both"
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

    def rewarded(self, batches: Transitions) -> Transitions:
        """Return batches with the rewards to learn from; by default the run's."""
        return batches

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


class InterventionFeedback(ActorCriticAlgorithm):
    """Soft actor-critic whose only reward is the operator's interventions.

    The last action before a takeover has the reward -1, every other one 0 (RLIF, arXiv 2311.12996). A success is not
    rewarded; it only ends the episode.
    """

    @override
    def rewarded(self, batches: Transitions) -> Transitions:
        reward = -batches.taken_over.astype(np.float32)
        # What is known of the task's rewards must not be a floor under these.
        return batches._replace(reward=reward, return_to_go=np.full_like(reward, -np.inf))


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


ALGORITHMS: dict[str, Algorithm[Any]] = {
    # HIL-SERL with an operator (arXiv 2410.21845), RLPD without (arXiv 2302.02948).
    "rlpd": ActorCriticAlgorithm(),
    # arXiv 1812.05905: interventions are experience like any other.
    "sac": ActorCriticAlgorithm("online"),
    # arXiv 1810.02890: of what happens while it acts, only the operator's actions are cloned.
    "hg-dagger": CloningAlgorithm("prior"),
    "bc": CloningAlgorithm("prior", acts=False),
    "rlif": InterventionFeedback(),
}


def is_algorithm_file(name: str) -> bool:
    """True if an algorithm is named as `FILE.py:CLASS`."""
    return ".py:" in name


def canonical_algorithm(name: str) -> str:
    """Return the name under which a run keeps its algorithm.

    A file becomes absolute. It is read when a run begins, and not when settings are.

    Raises:
        HilserlError: It is neither a name in `ALGORITHMS` nor `FILE.py:CLASS`.
    """
    if is_algorithm_file(name):
        path, _, kind = name.rpartition(":")
        return f"{Path(path).resolve()}:{kind}"
    if name not in ALGORITHMS:
        raise unknown("algorithm", name, [*ALGORITHMS, "FILE.py:CLASS"])
    return name


def algorithm_label(name: str) -> str:
    """Return a short name for display: of `FILE.py:CLASS` the class."""
    return name.rpartition(":")[2]


@functools.cache
def find_algorithm(name: str) -> Algorithm[Any]:
    """Return the algorithm of a name, or of `FILE.py:CLASS`.

    A process reads a file once, however often its run asks.

    Raises:
        HilserlError: There is no such algorithm or file, or the class is not an algorithm.
    """
    if not is_algorithm_file(name):
        return ALGORITHMS[canonical_algorithm(name)]
    path, _, kind = name.rpartition(":")
    try:
        module = load_file(path)
        classes = {each: value for each, value in vars(module).items() if _is_own_algorithm(value, module.__name__)}
        made = classes[kind]() if kind in classes else None
    except Exception as error:
        raise HilserlError(f"The algorithm {name} cannot be loaded: {described(error)}") from error
    if made is None:
        raise unknown(f"algorithm of {path}", kind, classes)
    return made


def _is_own_algorithm(value: object, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, Algorithm) and value.__module__ == module
