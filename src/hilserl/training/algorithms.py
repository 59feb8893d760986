"""The algorithms that a run may learn by: what tells them apart, in one table. Everything else of a run is the same."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from hilserl.agents.agent import Agent, AgentConfig
from hilserl.agents.cloning import create_cloner
from hilserl.agents.sac import ActorCritic, create_agent
from hilserl.data.replay import ReplaySource
from hilserl.data.spec import ExperienceSpec

AlgorithmName = Literal["rlpd", "sac", "hg-dagger", "bc"]


@dataclass(frozen=True)
class Algorithm:
    """A way of learning."""

    create: Callable[[ExperienceSpec, AgentConfig, int], Agent]
    """A fresh agent of a spec, settings and a seed."""
    draws: ReplaySource
    """What its batches are made of."""
    clones: bool = False
    """Whether it begins with behaviour cloning of the demonstrations."""
    acts: bool = True
    """Whether it does anything in the environment but to be judged."""


def _without_cloning(spec: ExperienceSpec, config: AgentConfig, seed: int) -> ActorCritic:
    return create_agent(spec, replace(config, cloning_weight=0.0), seed)


ALGORITHMS: dict[AlgorithmName, Algorithm] = {
    # HIL-SERL with an operator (arXiv 2410.21845), RLPD without (arXiv 2302.02948).
    "rlpd": Algorithm(create_agent, "both"),
    # arXiv 1812.05905: interventions are experience like any other.
    "sac": Algorithm(_without_cloning, "online"),
    # arXiv 1810.02890: of what happens while it acts, only what a person chose is cloned.
    "hg-dagger": Algorithm(create_cloner, "prior", clones=True),
    "bc": Algorithm(create_cloner, "prior", clones=True, acts=False),
}
