"""Behaviour cloning: the actor imitates demonstrated actions without any reward.

The actor is that of soft actor-critic. Its camera heads are trained. The reference implementation stops the policy's
gradient before them, so that they keep their random weights.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from hilserl.agents.agent import (
    NOISE_KEYS,
    Actor,
    Agent,
    AgentConfig,
    Metrics,
    apply_gradients,
    augment_batch,
    create_actor,
    make_optimizer,
    polyak_update,
    select,
)
from hilserl.agents.gripper import choice_index
from hilserl.agents.networks import squashed_log_prob
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.vision.frame_encoder import FrameEncoder


class CloningAgent(Agent):
    """Actor trained by behaviour cloning."""

    optimizer: optax.OptState

    def update_step(self, batches: Transitions, key: PRNGKeyArray) -> tuple["CloningAgent", Metrics]:
        """Update the actor on each batch, then its average once."""
        arrays, static = eqx.partition(self, eqx.is_array)

        def step(arrays: Any, inputs: tuple[Transitions, PRNGKeyArray]) -> tuple[Any, Metrics]:
            (batch, step_key), current = inputs, eqx.combine(arrays, static)
            current, metrics = _update(current, augment_batch(current.frame_encoder, batch, step_key), step_key)
            return eqx.filter(current, eqx.is_array), metrics

        keys = jax.random.split(key, batches.reward.shape[0])
        arrays, metrics = jax.lax.scan(step, arrays, (batches, keys))
        agent = eqx.combine(arrays, static)
        ema_actor = polyak_update(agent.ema_actor, agent.actor, self.config.ema_rate)
        return dataclasses.replace(agent, ema_actor=ema_actor), {name: value.mean() for name, value in metrics.items()}


def create_cloning_agent(spec: ExperienceSpec, config: AgentConfig, seed: int) -> CloningAgent:
    """Create an agent with random weights, which the seed decides."""
    frame_encoder = FrameEncoder(spec, config.vision)
    actor = create_actor(spec, frame_encoder, config, [*jax.random.split(jax.random.key(seed), 3)])
    optimizer = make_optimizer(config).init(eqx.filter(actor, eqx.is_array))
    return CloningAgent(actor=actor, ema_actor=actor, config=config, frame_encoder=frame_encoder, optimizer=optimizer)


class ActionComparison(NamedTuple):
    """Comparison of demonstrated actions with those of an actor."""

    log_prob: Float[Array, "batch"]
    """Log-probability of the demonstrated continuous actions."""
    error: Float[Array, "batch continuous"]
    """Policy's mean action minus the demonstrated continuous action."""
    choices: Float[Array, "batch choices"] | None
    """Gripper head's numbers for each choice; None without a gripper.

    They are computed beside the policy's mean action, as when it acts. Beside the demonstrated action the head would
    learn to read the operator's tremor, which it does not see later."""
    taken: Int[Array, "batch"] | None
    """Index of the demonstrated gripper choice; None without a gripper."""


def compare_actions(
    actor: Actor, features: Float[Array, "batch features"], action: Float[Array, "batch action"]
) -> ActionComparison:
    """Compare an actor's actions with demonstrated ones.

    The gripper's loss has no gradient into the continuous action.
    """
    output = jax.vmap(actor.policy)(features)
    continuous, chosen = select(action, actor.action.continuous), jnp.tanh(output.mean)
    log_prob, error = squashed_log_prob(output, continuous), chosen - continuous
    if actor.gripper is None:
        return ActionComparison(log_prob, error, None, None)
    choices = jax.vmap(actor.gripper)(features, jax.lax.stop_gradient(chosen))
    return ActionComparison(log_prob, error, choices, choice_index(select(action, actor.action.grippers)))


def imitable(config: AgentConfig, action: Float[Array, "batch action"]) -> Float[Array, "batch"]:
    """Return 1 for each action to imitate, 0 for the others."""
    return jnp.ones(len(action)) if config.imitate_stillness else (action != 0).any(-1).astype(jnp.float32)


def cloning_loss(
    actor: Actor, config: AgentConfig, features: Float[Array, "batch features"], batch: Transitions
) -> tuple[Float[Array, ""], Metrics]:
    """Compute the negative log-likelihood of demonstrated actions, in nats.

    It is the mean of -log p(continuous action | s) - log p(gripper choice | s, the policy's mean action) over the
    actions to imitate.

    Args:
        actor: the actor.
        config: says what is imitated.
        features: the actor's encoding of the batch's observations.
        batch: transitions with one leading axis, their images encoded.

    Returns:
        The loss and its parts as metrics.
    """
    log_prob, error, logits, taken = compare_actions(actor, features, batch.imitated)
    weight = imitable(config, batch.action)
    weight /= jnp.maximum(1, weight.sum())
    continuous_loss = -(weight * log_prob).sum()
    metrics = {"continuous_loss": continuous_loss, "continuous_error": jnp.sqrt((weight @ error**2).mean())}
    if logits is None or taken is None:
        return continuous_loss, metrics | {"cloning_loss": continuous_loss}
    gripper_loss = (weight * optax.softmax_cross_entropy_with_integer_labels(logits, taken)).sum()
    agreed = (weight * (logits.argmax(-1) == taken)).sum()
    loss = continuous_loss + gripper_loss
    return loss, metrics | {"gripper_loss": gripper_loss, "gripper_agreement": agreed, "cloning_loss": loss}


def _update(agent: CloningAgent, batch: Transitions, key: PRNGKeyArray) -> tuple[CloningAgent, Metrics]:
    noise_key = jax.random.fold_in(key, NOISE_KEYS)

    def loss(actor: Actor) -> tuple[Array, Metrics]:
        features = actor.encoder(batch.observation, noise_key)
        total, metrics = cloning_loss(actor, agent.config, features, batch)
        if (goal_loss := actor.encoder.goal_loss(features, batch)) is not None:
            return total + goal_loss, metrics | {"goal_loss": goal_loss}
        return total, metrics

    gradient, metrics = eqx.filter_grad(loss, has_aux=True)(agent.actor)
    actor, optimizer = apply_gradients(agent.actor, gradient, agent.optimizer, agent.config)
    return dataclasses.replace(agent, actor=actor, optimizer=optimizer), metrics


@eqx.filter_jit
def negative_log_likelihood(agent: CloningAgent, batch: Transitions) -> Metrics:
    """Compute the averaged actor's cloning loss, with its parts, on held-out transitions."""
    encoded = batch._replace(observation=agent.frame_encoder.augment(batch.observation, jax.random.key(0)))
    features = agent.ema_actor.encoder(encoded.observation)
    return cloning_loss(agent.ema_actor, agent.config, features, encoded)[1]
