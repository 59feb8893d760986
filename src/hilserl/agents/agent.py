"""What every algorithm shares: an actor, its settings, and the one interface by which an agent learns and acts.

An agent is an immutable pytree. `update` is one compiled function that does a whole round of whatever its algorithm
does: soft actor-critic in `sac.py`, behaviour cloning in `cloning.py`. Both train the same `Actor`, so whatever moves,
keeps, judges or films a policy need not know how it was learned.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from hilserl.agents.gripper import choices
from hilserl.agents.networks import GripperHead, Policy, sample_squashed
from hilserl.data.spec import ActionLayout, ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.errors import HilserlError
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from hilserl.vision.heads import ObservationEncoder

Metrics = dict[str, Array]
FRAME_KEYS, NOISE_KEYS = 1, 2


@dataclass(frozen=True)
class AgentConfig:
    """The learner's constants."""

    hidden: tuple[int, ...] = (128, 128)
    """Widths of every network's hidden layers."""
    num_critics: int = 4
    """Members of the critic ensemble."""
    num_target_critics: int = 2
    """How many of them, drawn anew each update, the target takes its minimum over (REDQ, arXiv 2101.05982)."""
    utd_ratio: int = 4
    """Critic updates to one policy update."""
    batch_size: int = 128
    discount: float = 0.97
    learning_rate: float = 3e-4
    tau: float = 0.005
    """Part of the way that target networks move to the online ones at each critic update."""
    ema_rate: float = 0.0025
    """Part of the way that the averaged actor, which is what a run is judged by, moves to the actor in each round."""
    initial_temperature: float = 0.01
    target_entropy_per_action: float = -0.5
    cloning_weight: float = 0.0
    """Of the imitation of a person's actions beside the losses of soft actor-critic; 0 leaves these alone."""
    cloning_half_life: int | None = None
    """After so many updates of the values the weight is half of what it was, so that these have their way in the end
    (as DAPG's, arXiv 1709.10087); None leaves it as it is."""
    gripper_penalty: float = 0.02
    """Taken from the gripper's reward for each gripper that an action sets moving."""
    vision: VisionConfig = field(default_factory=VisionConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.num_target_critics <= self.num_critics:
            raise HilserlError(
                f"num_target_critics must be 1 to num_critics={self.num_critics}, got {self.num_target_critics}."
            )
        if self.cloning_weight < 0:
            raise HilserlError(f"cloning_weight must not be negative, got {self.cloning_weight}.")
        if self.cloning_half_life is not None and self.cloning_half_life < 1:
            raise HilserlError(f"cloning_half_life must be at least 1, got {self.cloning_half_life}.")
        if not 0 <= self.discount <= 1:
            raise HilserlError(f"discount must lie in [0, 1], got {self.discount}.")
        for name in ("tau", "ema_rate"):
            if not 0 < getattr(self, name) <= 1:
                raise HilserlError(f"{name} must lie in (0, 1], got {getattr(self, name)}.")
        for name in ("utd_ratio", "batch_size"):
            if getattr(self, name) < 1:
                raise HilserlError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not self.hidden or min(self.hidden) < 1:
            raise HilserlError(f"hidden must name at least one positive width, got {self.hidden}.")


class Actor(eqx.Module):
    """The part of an agent that acts: all that an actor process needs, and what a learner publishes."""

    encoder: ObservationEncoder
    policy: Policy
    gripper: GripperHead | None
    action: ActionLayout = eqx.field(static=True)

    def __call__(self, observation: dict[str, Array], key: PRNGKeyArray, *, explore: bool) -> Float[Array, "action"]:
        """One action. Exploring samples the policy; otherwise its mean and the best gripper choice."""
        features = self.encoder(observation)
        output = self.policy(features)
        motion = sample_squashed(output, key)[0] if explore else jnp.tanh(output.mean)
        return self.with_grippers(features, motion)

    def with_grippers(
        self, features: Float[Array, "inputs"], motion: Float[Array, "motions"]
    ) -> Float[Array, "action"]:
        """The whole action: a motion and the best gripper choice beside it."""
        if self.gripper is None:
            return motion
        table = jnp.array(choices(len(self.action.grippers)))
        best = jax.nn.one_hot(jnp.argmax(self.gripper(features, motion)), len(table)) @ table
        order = np.argsort(self.action.continuous + self.action.grippers)
        return jnp.concatenate([motion, best])[order]


def create_actor(
    spec: ExperienceSpec, frames: FrameEncoder, config: AgentConfig, keys: Sequence[PRNGKeyArray]
) -> Actor:
    """A fresh actor for a spec; three keys decide the weights of encoder, policy and gripper."""
    encoder_key, policy_key, gripper_key = keys
    motions, grippers = len(spec.action.continuous), len(spec.action.grippers)
    encoder = ObservationEncoder(spec, frames, key=encoder_key)
    policy = Policy(encoder.size, motions, config.hidden, key=policy_key)
    gripper = GripperHead(encoder.size + motions, grippers, config.hidden, key=gripper_key) if grippers else None
    return Actor(encoder, policy, gripper, spec.action)


class Agent(eqx.Module):
    """Everything a learner trains, as one pytree."""

    actor: Actor
    averaged: Actor
    """The actor averaged over its recent rounds. From one round to the next an actor forgets and relearns how to act in
    rare states; its average does not."""
    config: AgentConfig = eqx.field(static=True)
    frames: FrameEncoder = eqx.field(static=True)

    @abstractmethod
    def round(self, batches: Transitions, key: PRNGKeyArray) -> tuple[Self, Metrics]:
        """What `update` compiles."""


AgentT = TypeVar("AgentT", bound=Agent)


def adam(config: AgentConfig) -> optax.GradientTransformation:
    """The optimizer of everything."""
    return optax.adam(config.learning_rate)


def apply_gradients(tree: Any, gradient: Any, state: optax.OptState, config: AgentConfig) -> tuple[Any, optax.OptState]:
    """One step of Adam."""
    updates, state = adam(config).update(gradient, state)
    return eqx.apply_updates(tree, updates), state


def track(target: Any, online: Any, rate: float) -> Any:
    """Moves a network a little towards the one it follows."""
    return jax.tree.map(lambda t, o: t + rate * (o - t) if eqx.is_array(t) else t, target, online)


def part(numbers: Array, indices: tuple[int, ...]) -> Array:
    """Some of an action's numbers, or of a state's."""
    return numbers[:, np.array(indices, int)]


def prepared(frames: FrameEncoder, batch: Transitions, key: PRNGKeyArray) -> Transitions:
    """The batch as the networks want to see it, drawn anew where there is something to draw."""
    now, after = jax.random.split(jax.random.fold_in(key, FRAME_KEYS))
    return batch._replace(
        observation=frames.prepare(batch.observation, now),
        next_observation=frames.prepare(batch.next_observation, after),
    )


@eqx.filter_jit
def _compiled_round(agent: AgentT, batches: Transitions, key: PRNGKeyArray) -> tuple[AgentT, Metrics]:
    return agent.round(batches, key)


def update(agent: AgentT, batches: Transitions, key: PRNGKeyArray) -> tuple[AgentT, Metrics]:
    """One round: as many updates as there are batches; of soft actor-critic, then one of the policy on the last.

    Args:
        agent: the agent; it is not changed.
        batches: transitions with leading axes [utd_ratio, batch].
        key: decides everything random in the round.

    Returns:
        The new agent and scalar metrics.
    """
    return _compiled_round(agent, batches, key)


@eqx.filter_jit
def _compiled_act(actor: Actor, observation: dict[str, Any], key: PRNGKeyArray, explore: bool) -> Array:
    return actor(observation, key, explore=explore)


def act(actor: Actor, observation: dict[str, np.ndarray], key: PRNGKeyArray, *, explore: bool) -> np.ndarray:
    """One action for an environment, float32 [n]; `explore=False` is the deterministic policy and ignores the key."""
    seen = {name: observation[name] for name in actor.encoder.names}
    return np.asarray(_compiled_act(actor, seen, key, explore))
