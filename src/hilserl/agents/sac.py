"""Soft actor-critic with prior data (RLPD, arXiv 2302.02948) and learned grippers (HIL-SERL, arXiv 2410.21845).

One class serves arms without a learned gripper, with one, and with two: the action layout says which actions are
grippers. A round is `utd_ratio` updates of encoder, critics and gripper, each on its own batch, then one of policy and
temperature. With a `cloning_weight` each of the former also brings encoder, policy and gripper nearer to what people
did.
"""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from hilserl.agents.agent import (
    FRAME_KEYS,
    NOISE_KEYS,
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
from hilserl.agents.gripper import changes, to_choice
from hilserl.agents.imitation import imitation_loss
from hilserl.agents.networks import Critic, GripperHead, Policy, critic_ensemble, ensemble_values, sample_squashed
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.vision.frame_encoder import FrameEncoder
from hilserl.vision.heads import ObservationEncoder


class Optimizers(eqx.Module):
    """One optimizer state for each parameter tree, so that no loss moves another's parameters."""

    policy: optax.OptState
    values: optax.OptState
    """Of encoder, critics and gripper, which learn together: what is seen is learned from what it is worth."""
    temperature: optax.OptState


class Values(NamedTuple):
    """All that the value losses train."""

    encoder: ObservationEncoder
    critics: Critic
    gripper: GripperHead | None


class ActorCritic(Agent):
    """An actor and all that tells it what its actions are worth."""

    critics: Critic
    targets: Values
    log_temperature: Float[Array, ""]
    optimizers: Optimizers
    gripper_state: tuple[int, ...] = eqx.field(static=True)
    """Where the state tells the grippers' commands."""

    @property
    def cloning_weight(self) -> Array | float:
        """What imitation weighs by now."""
        weight, half_life = self.config.cloning_weight, self.config.cloning_half_life
        if half_life is None:
            return weight
        updates = optax.tree.get(self.optimizers.values, "count")
        return weight * 0.5 ** (updates / half_life)

    def round(self, batches: Transitions, key: PRNGKeyArray) -> tuple["ActorCritic", Metrics]:
        """As many updates of the values as there are batches, then one of the policy on the last of them."""
        arrays, static = eqx.partition(self, eqx.is_array)
        value_key, policy_key = jax.random.split(key)
        utd_ratio = batches.reward.shape[0]

        def value_step(arrays: Any, inputs: tuple[Transitions, PRNGKeyArray]) -> tuple[Any, Metrics]:
            (batch, step_key), current = inputs, eqx.combine(arrays, static)
            current, step_metrics = _update_values(current, prepared(current.frames, batch, step_key), step_key)
            return eqx.filter(current, eqx.is_array), step_metrics

        arrays, metrics = jax.lax.scan(value_step, arrays, (batches, jax.random.split(value_key, utd_ratio)))
        last = jax.tree.map(lambda leaf: leaf[-1], batches.observation)
        agent = eqx.combine(arrays, static)
        seen = agent.frames.prepare(last, jax.random.fold_in(policy_key, FRAME_KEYS))
        agent, policy_metrics = _update_policy(agent, seen, policy_key)
        averaged = track(agent.averaged, agent.actor, agent.config.ema_rate)
        agent = dataclasses.replace(agent, averaged=averaged)
        return agent, {name: value.mean() for name, value in metrics.items()} | policy_metrics


def create_agent(spec: ExperienceSpec, config: AgentConfig, seed: int) -> ActorCritic:
    """A fresh agent for a spec; the seed decides every weight."""
    policy_key, critic_key, gripper_key, encoder_key = jax.random.split(jax.random.key(seed), 4)
    frames = FrameEncoder(spec, config.vision)
    actor = create_actor(spec, frames, config, (encoder_key, policy_key, gripper_key))
    inputs = actor.encoder.size + spec.action.size
    critics = critic_ensemble(config.num_critics, inputs, config.hidden, key=critic_key)
    values = Values(actor.encoder, critics, actor.gripper)
    log_temperature = jnp.log(jnp.array(config.initial_temperature, jnp.float32))
    trees = (actor.policy, values, log_temperature)
    return ActorCritic(
        actor=actor,
        averaged=actor,
        critics=critics,
        targets=values,
        log_temperature=log_temperature,
        optimizers=Optimizers(*(adam(config).init(eqx.filter(tree, eqx.is_array)) for tree in trees)),
        config=config,
        frames=frames,
        gripper_state=tuple(spec.gripper_state),
    )


class _TdTargets(NamedTuple):
    """What one batch asks of the values; nothing in it is differentiated."""

    critic: Float[Array, "batch"]
    gripper: Float[Array, "batch"] | None


def _td_targets(agent: ActorCritic, batch: Transitions, key: PRNGKeyArray) -> _TdTargets:
    """The targets y = r + gamma * Q_target(s', a'), with a' ~ policy.

    For the critics Q_target is the minimum over drawn members of the target ensemble. For the gripper it is Double
    DQN's (arXiv 1509.06461), and the reward is less a penalty for each gripper that the action set moving.
    """
    config, actor, targets = agent.config, agent.actor, agent.targets
    motion_key, member_key = jax.random.split(key)
    noise_key = jax.random.fold_in(key, NOISE_KEYS)
    seen, seen_by_targets = (encoder(batch.next_observation, noise_key) for encoder in (actor.encoder, targets.encoder))
    motion, _ = sample_squashed(jax.vmap(actor.policy)(seen), motion_key)
    action = jax.vmap(actor.with_grippers)(seen, motion)
    members = jax.random.choice(member_key, config.num_critics, (config.num_target_critics,), replace=False)
    chosen = jax.tree.map(lambda leaf: leaf[members] if eqx.is_array(leaf) else leaf, targets.critics)
    future = config.discount * batch.bootstrap
    critic = batch.reward + future * ensemble_values(chosen, seen_by_targets, action).min(0)
    if targets.gripper is None:
        return _TdTargets(critic, None)
    commands = part(batch.observation["state"], agent.gripper_state)
    reward = batch.reward - config.gripper_penalty * changes(commands, part(batch.action, actor.action.grippers))
    next_values = jax.vmap(targets.gripper)(seen_by_targets, motion)
    best = to_choice(part(action, actor.action.grippers))[:, None]
    return _TdTargets(critic, reward + future * jnp.take_along_axis(next_values, best, -1)[:, 0])


def _update_values(agent: ActorCritic, batch: Transitions, key: PRNGKeyArray) -> tuple[ActorCritic, Metrics]:
    """Encoder, critics and gripper regress on their targets; the target networks follow.

    Both kinds of value are of the *joint* action. Blind to each other, motion and gripper would each take credit for
    the other's demonstrated part: standing still is good where an expert then closes, holding is good where an expert
    then moves, and the policy does both for ever.
    """
    config, layout = agent.config, agent.actor.action
    clones = config.cloning_weight > 0
    goals = _td_targets(agent, batch, key)
    noise_key = jax.random.fold_in(key, NOISE_KEYS + 1)

    def loss(trained: tuple[Values, Policy]) -> tuple[Array, Metrics]:
        values, policy = trained
        features = values.encoder(batch.observation, noise_key)
        q = ensemble_values(values.critics, features, batch.action)
        total = critic_loss = jnp.mean((q - goals.critic) ** 2)
        metrics = {"critic_loss": critic_loss, "q": q.mean(), "q_target": goals.critic.mean()}
        if clones:
            actor = dataclasses.replace(agent.actor, policy=policy, gripper=values.gripper)
            imitation, imitation_metrics = imitation_loss(actor, features, batch)
            total += agent.cloning_weight * imitation
            metrics |= imitation_metrics
        if values.gripper is None or goals.gripper is None:
            return total, metrics
        taken = to_choice(part(batch.action, layout.grippers))[:, None]
        choice_values = jax.vmap(values.gripper)(features, part(batch.action, layout.continuous))
        gripper_q = jnp.take_along_axis(choice_values, taken, -1)[:, 0]
        gripper_loss = jnp.mean((gripper_q - goals.gripper) ** 2)
        return total + gripper_loss, metrics | {"gripper_loss": gripper_loss, "gripper_q": gripper_q.mean()}

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
        targets=track(agent.targets, values, config.tau),
        optimizers=optimizers,
    ), metrics


def _update_policy(agent: ActorCritic, observation: dict[str, Array], key: PRNGKeyArray) -> tuple[ActorCritic, Metrics]:
    """Ascends mean Q - alpha log pi on what the values have learned to see; alpha follows the entropy to its target."""
    config = agent.config
    features = agent.actor.encoder(observation, jax.random.fold_in(key, NOISE_KEYS))
    temperature = jnp.exp(agent.log_temperature)

    def loss(policy: Policy) -> tuple[Array, Array]:
        motion, log_prob = sample_squashed(jax.vmap(policy)(features), key)
        action = jax.vmap(agent.actor.with_grippers)(features, motion)
        value = ensemble_values(agent.critics, features, action).mean(0)
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
def _compiled_value(agent: ActorCritic, observation: dict[str, Any], action: Array) -> Array:
    seen = agent.actor.encoder(observation)
    return ensemble_values(agent.critics, seen[None], action[None]).mean()


def value(agent: ActorCritic, observation: dict[str, np.ndarray], action: np.ndarray) -> float:
    """Q(s, a) of one observation and action, the mean over the ensemble."""
    seen = {name: observation[name] for name in agent.actor.encoder.names}
    return float(_compiled_value(agent, seen, jnp.asarray(action)))
