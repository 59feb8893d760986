"""Soft actor-critic with prior data and learned grippers.

It is RLPD (arXiv 2302.02948) with the gripper's critic of HIL-SERL (arXiv 2410.21845). One class serves arms without a
learned gripper, with one and with two: the action layout says which actions are grippers. An update step is `utd_ratio`
updates of encoder, critics and gripper head, each on its own batch, then one update of policy and temperature. With a
`cloning_weight` each critic update also moves encoder, policy and gripper head towards the demonstrated actions. A
`cloning_filter` then weights them by what the critics expect them to lose.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Shaped
from typing_extensions import override

from hilserl.agents.agent import (
    IMAGE_KEYS,
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
from hilserl.agents.cloning import imitable
from hilserl.agents.gripper import choice_index
from hilserl.agents.imitation import imitation_loss
from hilserl.agents.networks import Critic, GripperHead, Policy, critic_ensemble, ensemble_values, sample_squashed
from hilserl.data.spec import ActionLayout, ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.vision.frame_encoder import FrameEncoder
from hilserl.vision.heads import ObservationEncoder

_LEAST_VALUE, _LEAST_TOLERANCE = 1e-6, 1e-3
_LEAST_SCALE = 0.02
"""Least value by which the policy's loss is divided.

Differences between smaller values are mostly error."""
_GRIPPER_DELAY_STEPS = 0.5
"""Control steps that a change of a gripper costs."""


class Optimizers(eqx.Module):
    """One optimizer state for each parameter tree.

    Separate states keep one loss's momentum from moving another's parameters.
    """

    policy: optax.OptState
    values: optax.OptState
    """State for encoder, critics and gripper head, which learn together.

    The encoder thus learns to see what matters for the value."""
    temperature: optax.OptState


class Values(NamedTuple):
    """All parameters that the value losses train."""

    encoder: ObservationEncoder
    critics: Critic
    gripper: GripperHead | None


class SACAgent(Agent):
    """Actor, critic ensemble, target networks and entropy temperature."""

    critics: Critic
    """Ensemble with a leading member axis."""
    targets: Values
    """Target networks."""
    log_temperature: Float[Array, ""]
    optimizers: Optimizers
    filters_imitation: Bool[Array, ""] | None = None
    """True once the critics decide what to imitate; None without a filter."""

    @property
    @override
    def encoders(self) -> list[ObservationEncoder]:
        return [*super().encoders, self.targets.encoder]

    @property
    def cloning_weight(self) -> Array | float:
        """Current weight of the imitation loss."""
        weight, half_life = self.config.cloning_weight, self.config.cloning_half_life
        if half_life is None:
            return weight
        updates = optax.tree.get(self.optimizers.values, "count")
        return weight * 0.5 ** (updates / half_life)

    def update_step(self, batches: Transitions, key: PRNGKeyArray) -> tuple["SACAgent", Metrics]:
        """Update the critics on each batch, then the policy once.

        The policy's update takes the last batch's observations.
        """
        arrays, static = eqx.partition(self, eqx.is_array)
        value_key, policy_key = jax.random.split(key)
        utd_ratio = batches.reward.shape[0]

        def value_step(arrays: Any, inputs: tuple[Transitions, PRNGKeyArray]) -> tuple[Any, Metrics]:
            (batch, step_key), current = inputs, eqx.combine(arrays, static)
            batch = augment_batch(current.frame_encoder, batch, step_key)
            current, step_metrics = _update_values(current, batch, step_key)
            return eqx.filter(current, eqx.is_array), step_metrics

        arrays, metrics = jax.lax.scan(value_step, arrays, (batches, jax.random.split(value_key, utd_ratio)))
        last = jax.tree.map(lambda leaf: leaf[-1], batches.observation)
        agent = eqx.combine(arrays, static)
        encoded = agent.frame_encoder.augment(last, jax.random.fold_in(policy_key, IMAGE_KEYS))
        agent, policy_metrics = _update_policy(agent, encoded, policy_key)
        ema_actor = polyak_update(agent.ema_actor, agent.actor, agent.config.ema_rate)
        agent = dataclasses.replace(agent, ema_actor=ema_actor)
        return agent, {name: value.mean() for name, value in metrics.items()} | policy_metrics


def create_sac_agent(spec: ExperienceSpec, config: AgentConfig, seed: int) -> SACAgent:
    """Create an agent with random weights, which the seed decides."""
    policy_key, critic_key, gripper_key, encoder_key = jax.random.split(jax.random.key(seed), 4)
    frame_encoder = FrameEncoder(spec, config.vision)
    actor = create_actor(spec, frame_encoder, config, (encoder_key, policy_key, gripper_key))
    inputs = actor.encoder.size + spec.action.size
    critics = critic_ensemble(config.num_critics, inputs, config.hidden, key=critic_key)
    values = Values(actor.encoder, critics, actor.gripper)
    log_temperature = jnp.log(jnp.array(config.initial_temperature, jnp.float32))
    trees = (actor.policy, values, log_temperature)
    filters = config.cloning_filter and config.cloning_weight > 0
    return SACAgent(
        actor=actor,
        ema_actor=actor,
        critics=critics,
        targets=values,
        log_temperature=log_temperature,
        optimizers=Optimizers(*(make_optimizer(config).init(eqx.filter(tree, eqx.is_array)) for tree in trees)),
        filters_imitation=jnp.array(False) if filters else None,
        config=config,
        frame_encoder=frame_encoder,
    )


class _TdTargets(NamedTuple):
    """Regression targets of one batch, without gradients."""

    critic: Float[Array, "batch"]
    gripper: Float[Array, "batch"] | None


def _td_targets(agent: SACAgent, batch: Transitions, key: PRNGKeyArray) -> _TdTargets:
    """Compute the TD targets.

    y = r + gamma * (1 - terminated) * Q_target(s', a'), with a' ~ policy. For the critics Q_target is the minimum over
    drawn members of the target ensemble. For the gripper head it is that of Double DQN (arXiv 1509.06461), and a
    penalty for each gripper that the action set in motion is deducted from the reward. With `relative_values` such a
    change costs a part of the value instead.

    With `return_floor` no target is below the return that followed in an episode that terminated (MCAC, arXiv
    2210.07432): the best actions are worth at least that much.
    """
    config, actor, targets = agent.config, agent.actor, agent.targets
    action_key, member_key = jax.random.split(key)
    noise_key = jax.random.fold_in(key, NOISE_KEYS)
    features, target_features = (
        encoder(batch.next_observation, noise_key) for encoder in (actor.encoder, targets.encoder)
    )
    continuous, _ = sample_squashed(jax.vmap(actor.policy)(features), action_key)
    action = jax.vmap(actor.with_grippers)(features, continuous)
    members = jax.random.choice(member_key, config.num_critics, (config.num_target_critics,), replace=False)
    drawn = jax.tree.map(lambda leaf: leaf[members] if eqx.is_array(leaf) else leaf, targets.critics)
    future = config.discount * batch.bootstrap
    critic = batch.reward + future * ensemble_values(drawn, target_features, action).min(0)
    if config.return_floor:
        critic = jnp.maximum(critic, batch.return_to_go)
    if targets.gripper is None:
        return _TdTargets(critic, None)
    next_values = jax.vmap(targets.gripper)(target_features, continuous)
    best = choice_index(select(action, actor.action.grippers))[:, None]
    gripper = batch.reward + future * jnp.take_along_axis(next_values, best, -1)[:, 0]
    floor = batch.return_to_go
    if config.relative_values:
        factor = config.discount ** (_GRIPPER_DELAY_STEPS * batch.gripper_changes)
        gripper, floor = factor * gripper, factor * floor
    else:
        gripper -= config.gripper_penalty * batch.gripper_changes
        floor -= config.gripper_penalty * batch.changes_to_go
    return _TdTargets(critic, jnp.maximum(gripper, floor) if config.return_floor else gripper)


def _update_values(agent: SACAgent, batch: Transitions, key: PRNGKeyArray) -> tuple[SACAgent, Metrics]:
    """Regress encoder, critics and gripper head on the TD targets.

    The target networks follow. Critics and gripper head both see the joint action. If neither saw the other's part,
    each would take credit for it in demonstrations: standing still would seem good because the expert then closes, and
    holding because the expert then moves. The policy would do both for ever.
    """
    config, layout = agent.config, agent.actor.action
    clones = config.cloning_weight > 0
    targets = _td_targets(agent, batch, key)
    noise_key = jax.random.fold_in(key, NOISE_KEYS + 1)

    def loss(trained: tuple[Values, Policy]) -> tuple[Array, Metrics]:
        values, policy = trained
        features = values.encoder(batch.observation, noise_key)
        q = ensemble_values(values.critics, features, batch.action)
        total = critic_loss = jnp.mean((q - targets.critic) ** 2)
        metrics = {"critic_loss": critic_loss, "q": q.mean(), "q_target": targets.critic.mean()}
        if (goal_loss := values.encoder.goal_loss(features, batch)) is not None:
            total += goal_loss
            metrics["goal_loss"] = goal_loss
        if clones:
            actor = dataclasses.replace(agent.actor, policy=policy, gripper=values.gripper)
            weight = imitable(config, batch.action)
            if agent.filters_imitation is not None:
                approval = _approval(actor, values.critics, features, batch.imitated, config.discount)
                weight *= jnp.where(agent.filters_imitation, approval, 1.0)
            imitation, imitation_metrics = imitation_loss(actor, features, batch, weight)
            total += agent.cloning_weight * imitation
            metrics |= imitation_metrics
        if values.gripper is None or targets.gripper is None:
            return total, metrics
        gripper_loss, gripper_q = _gripper_loss(values.gripper, features, batch.action, targets.gripper, layout)
        return total + gripper_loss, metrics | {"gripper_loss": gripper_loss, "gripper_q": gripper_q}

    values, policy = Values(agent.actor.encoder, agent.critics, agent.actor.gripper), agent.actor.policy
    (gradient, policy_gradient), metrics = eqx.filter_grad(loss, has_aux=True)((values, policy))
    values, state = apply_gradients(values, gradient, agent.optimizers.values, config)
    optimizers = dataclasses.replace(agent.optimizers, values=state)
    if clones:
        policy, state = apply_gradients(policy, policy_gradient, optimizers.policy, config)
        optimizers = dataclasses.replace(optimizers, policy=state)
    actor = dataclasses.replace(agent.actor, encoder=values.encoder, policy=policy, gripper=values.gripper)
    return dataclasses.replace(
        agent,
        actor=actor,
        critics=values.critics,
        targets=polyak_update(agent.targets, values, config.tau),
        optimizers=optimizers,
    ), metrics


def _gripper_loss(
    head: GripperHead,
    features: Float[Array, "batch features"],
    action: Float[Array, "batch action"],
    targets: Float[Array, "batch"],
    layout: ActionLayout,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Compute the gripper head's loss with its mean value."""
    taken = choice_index(select(action, layout.grippers))[:, None]
    q = jnp.take_along_axis(jax.vmap(head)(features, select(action, layout.continuous)), taken, -1)[:, 0]
    return jnp.mean((q - targets) ** 2), q.mean()


def _approval(
    actor: Actor,
    critics: Critic,
    features: Float[Array, "batch features"],
    action: Float[Array, "batch action"],
    discount: float,
) -> Float[Array, "batch"]:
    """Weight actions by what the critics expect them to lose.

    An action that loses one control step against the policy's own has the weight 1/e, one that loses nothing has 1.

    Args:
        actor: the actor.
        critics: the critic ensemble.
        features: the actor's encoding of the observations.
        action: the actions to imitate.
        discount: discount factor of one control step.
    """
    continuous = jnp.tanh(jax.vmap(actor.policy)(features).mean)
    own = ensemble_values(critics, features, jax.vmap(actor.with_grippers)(features, continuous)).mean(0)
    q = ensemble_values(critics, features, action).mean(0)
    lost = jnp.maximum(own - q, 0) / jnp.maximum(jnp.abs(own), _LEAST_VALUE)
    return jax.lax.stop_gradient(jnp.exp(-lost / max(1 - discount, _LEAST_TOLERANCE)))


def _update_policy(
    agent: SACAgent, observation: dict[str, Shaped[Any, "batch ..."]], key: PRNGKeyArray
) -> tuple[SACAgent, Metrics]:
    """Update the policy, then the temperature.

    The policy maximises mean Q - alpha log pi; alpha moves so that the entropy approaches its target. The loss has no
    gradient into the encoder. With `relative_values` Q is divided by its size.
    """
    config = agent.config
    features = agent.actor.encoder(observation, jax.random.fold_in(key, NOISE_KEYS))
    temperature = jnp.exp(agent.log_temperature)

    def loss(policy: Policy) -> tuple[Array, Array]:
        continuous, log_prob = sample_squashed(jax.vmap(policy)(features), key)
        action = jax.vmap(agent.actor.with_grippers)(features, continuous)
        value = ensemble_values(agent.critics, features, action).mean(0)
        if config.relative_values:
            value /= jnp.maximum(jax.lax.stop_gradient(jnp.abs(value)), _LEAST_SCALE)
        return jnp.mean(temperature * log_prob - value), -log_prob.mean()

    (actor_loss, entropy), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(agent.actor.policy)
    policy, policy_state = apply_gradients(agent.actor.policy, gradient, agent.optimizers.policy, config)
    surplus = entropy - config.target_entropy_per_action * len(agent.actor.action.continuous)
    log_temperature, temperature_state = apply_gradients(
        agent.log_temperature, temperature * surplus, agent.optimizers.temperature, config
    )
    agent = eqx.tree_at(
        lambda a: (a.actor.policy, a.log_temperature, a.optimizers.policy, a.optimizers.temperature),
        agent,
        (policy, log_temperature, policy_state, temperature_state),
    )
    return agent, {"actor_loss": actor_loss, "entropy": entropy, "temperature": temperature}


@eqx.filter_jit
def _compiled_value(agent: SACAgent, observation: dict[str, Any], action: Array) -> Array:
    features = agent.actor.encoder(observation)
    return ensemble_values(agent.critics, features[None], action[None]).mean()


def value(agent: SACAgent, observation: dict[str, np.ndarray], action: np.ndarray) -> float:
    """Compute the ensemble's mean Q(s, a) for one observation.

    Args:
        agent: the agent.
        observation: state and camera features, or images, without a batch axis.
        action: float32 [action].
    """
    inputs = {name: observation[name] for name in agent.actor.encoder.names}
    return float(_compiled_value(agent, inputs, jnp.asarray(action)))
