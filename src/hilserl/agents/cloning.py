"""Behaviour cloning: the actor does what was demonstrated, and nothing tells it what that is worth.

The same actor as soft actor-critic's. Its camera heads are trained, unlike the reference's, whose policy stops the
gradient before them, so that they stay as they were drawn. A round is as many updates as there are batches.
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
    adam,
    apply_gradients,
    create_actor,
    part,
    prepared,
    track,
)
from hilserl.agents.gripper import to_choice
from hilserl.agents.networks import squashed_log_density
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.vision.frame_encoder import FrameEncoder


class Cloner(Agent):
    """An actor that learns from what others did."""

    optimizer: optax.OptState

    def round(self, batches: Transitions, key: PRNGKeyArray) -> tuple["Cloner", Metrics]:
        """An update on each batch, then the average moves."""
        arrays, static = eqx.partition(self, eqx.is_array)

        def step(arrays: Any, inputs: tuple[Transitions, PRNGKeyArray]) -> tuple[Any, Metrics]:
            (batch, step_key), current = inputs, eqx.combine(arrays, static)
            current, metrics = _update(current, prepared(current.frames, batch, step_key), step_key)
            return eqx.filter(current, eqx.is_array), metrics

        keys = jax.random.split(key, batches.reward.shape[0])
        arrays, metrics = jax.lax.scan(step, arrays, (batches, keys))
        agent = eqx.combine(arrays, static)
        averaged = track(agent.averaged, agent.actor, self.config.ema_rate)
        return dataclasses.replace(agent, averaged=averaged), {name: value.mean() for name, value in metrics.items()}


def create_cloner(spec: ExperienceSpec, config: AgentConfig, seed: int) -> Cloner:
    """A fresh agent for a spec; the seed decides every weight."""
    frames = FrameEncoder(spec, config.vision)
    actor = create_actor(spec, frames, config, [*jax.random.split(jax.random.key(seed), 3)])
    optimizer = adam(config).init(eqx.filter(actor, eqx.is_array))
    return Cloner(actor=actor, averaged=actor, config=config, frames=frames, optimizer=optimizer)


class Compared(NamedTuple):
    """What an actor makes of actions that were demonstrated."""

    log_prob: Float[Array, "batch"]
    """Of the motions."""
    error: Float[Array, "batch motions"]
    """Of the motions that it would choose."""
    choices: Float[Array, "batch choices"] | None
    """Its number for every gripper choice beside the motion that it would choose, as it is asked when it acts. Beside
    the demonstrated one it would learn to read the hand's tremble, which it never sees again."""
    taken: Int[Array, "batch"] | None
    """The choice that was demonstrated."""


def compared(actor: Actor, features: Float[Array, "batch features"], action: Float[Array, "batch action"]) -> Compared:
    """Asks an actor about demonstrated actions. What its gripper learns of them does not bend its motion."""
    output = jax.vmap(actor.policy)(features)
    motion, chosen = part(action, actor.action.continuous), jnp.tanh(output.mean)
    log_prob, error = squashed_log_density(output, motion), chosen - motion
    if actor.gripper is None:
        return Compared(log_prob, error, None, None)
    choices = jax.vmap(actor.gripper)(features, jax.lax.stop_gradient(chosen))
    return Compared(log_prob, error, choices, to_choice(part(action, actor.action.grippers)))


def cloning_loss(actor: Actor, batch: Transitions, key: PRNGKeyArray | None = None) -> tuple[Array, Metrics]:
    """How unexpected demonstrated actions are, in nats: -log p(motion | s) - log p(gripper | s, the policy's motion).

    A key decides the noise on what the cameras see.
    """
    log_prob, error, logits, taken = compared(actor, actor.encoder(batch.observation, key), batch.action)
    motion_loss = -log_prob.mean()
    metrics = {"motion_loss": motion_loss, "motion_error": jnp.sqrt(jnp.mean(error**2))}
    if logits is None or taken is None:
        return motion_loss, metrics | {"cloning_loss": motion_loss}
    gripper_loss = optax.softmax_cross_entropy_with_integer_labels(logits, taken).mean()
    agreed = jnp.mean(logits.argmax(-1) == taken)
    loss = motion_loss + gripper_loss
    return loss, metrics | {"gripper_loss": gripper_loss, "gripper_agreement": agreed, "cloning_loss": loss}


def _update(agent: Cloner, batch: Transitions, key: PRNGKeyArray) -> tuple[Cloner, Metrics]:
    noise_key = jax.random.fold_in(key, NOISE_KEYS)
    gradient, metrics = eqx.filter_grad(cloning_loss, has_aux=True)(agent.actor, batch, noise_key)
    actor, optimizer = apply_gradients(agent.actor, gradient, agent.optimizer, agent.config)
    return dataclasses.replace(agent, actor=actor, optimizer=optimizer), metrics


@eqx.filter_jit
def negative_log_likelihood(agent: Cloner, batch: Transitions) -> Metrics:
    """The loss, and what it is made of, of the averaged actor on transitions that it has not learned from."""
    seen = batch._replace(observation=agent.frames.prepare(batch.observation, jax.random.key(0)))
    return cloning_loss(agent.averaged, seen)[1]
