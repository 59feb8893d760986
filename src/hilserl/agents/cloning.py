"""Behaviour cloning: the actor does what was demonstrated, and nothing tells it what that is worth.

The same actor as soft actor-critic's. Its camera heads are trained, unlike the reference's, whose policy stops the
gradient before them, so that they stay as they were drawn. A round is as many updates as there are batches.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray

from hilserl.agents.agent import (
    NOISE_KEYS,
    Actor,
    Agent,
    AgentConfig,
    Metrics,
    adam,
    create_actor,
    descend,
    part,
    prepared,
    track,
)
from hilserl.agents.gripper import to_choice
from hilserl.agents.networks import squashed_log_density
from hilserl.experience import ExperienceSpec, Transitions
from hilserl.vision.frames import FrameEncoder


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
        averaged = track(agent.averaged, agent.actor, self.config.averaging_rate)
        return dataclasses.replace(agent, averaged=averaged), {name: value.mean() for name, value in metrics.items()}


def create_cloner(spec: ExperienceSpec, config: AgentConfig, seed: int) -> Cloner:
    """A fresh agent for a spec; the seed decides every weight."""
    frames = FrameEncoder(spec, config.vision)
    actor = create_actor(spec, frames, config, [*jax.random.split(jax.random.key(seed), 3)])
    optimizer = adam(config).init(eqx.filter(actor, eqx.is_array))
    return Cloner(actor=actor, averaged=actor, config=config, frames=frames, optimizer=optimizer)


def cloning_loss(actor: Actor, batch: Transitions, key: PRNGKeyArray | None = None) -> tuple[Array, Metrics]:
    """How unexpected demonstrated actions are, in nats: -log p(motion | s) - log p(gripper | s, the policy's motion).

    The gripper is asked beside the motion that the actor would choose, as it is when it acts. Beside the demonstrated
    one it would learn to read the hand's tremble, which it never sees again. A key decides the noise on what the
    cameras see.
    """
    features = actor.encoder(batch.observation, key)
    output = jax.vmap(actor.policy)(features)
    motion = part(batch.action, actor.action.continuous)
    chosen = jnp.tanh(output.mean)
    motion_loss = -squashed_log_density(output, motion).mean()
    metrics = {"motion_loss": motion_loss, "motion_error": jnp.sqrt(jnp.mean((chosen - motion) ** 2))}
    if actor.gripper is None:
        return motion_loss, metrics | {"cloning_loss": motion_loss}
    demonstrated = to_choice(part(batch.action, actor.action.grippers))
    logits = jax.vmap(actor.gripper)(features, jax.lax.stop_gradient(chosen))
    gripper_loss = optax.softmax_cross_entropy_with_integer_labels(logits, demonstrated).mean()
    agreed = jnp.mean(logits.argmax(-1) == demonstrated)
    loss = motion_loss + gripper_loss
    return loss, metrics | {"gripper_loss": gripper_loss, "gripper_agreement": agreed, "cloning_loss": loss}


def _update(agent: Cloner, batch: Transitions, key: PRNGKeyArray) -> tuple[Cloner, Metrics]:
    noise_key = jax.random.fold_in(key, NOISE_KEYS)
    gradient, metrics = eqx.filter_grad(cloning_loss, has_aux=True)(agent.actor, batch, noise_key)
    actor, optimizer = descend(agent.actor, gradient, agent.optimizer, agent.config)
    return dataclasses.replace(agent, actor=actor, optimizer=optimizer), metrics


@eqx.filter_jit
def unexpectedness(agent: Cloner, batch: Transitions) -> Metrics:
    """The loss, and what it is made of, of the averaged actor on transitions that it has not learned from."""
    seen = batch._replace(observation=agent.frames.prepare(batch.observation, jax.random.key(0)))
    return cloning_loss(agent.averaged, seen)[1]
