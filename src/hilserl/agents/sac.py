"""Soft actor-critic with prior data (RLPD, arXiv 2302.02948) and learned grippers (HIL-SERL, arXiv 2410.21845).

One class serves arms without a learned gripper, with one, and with two: the action layout says which actions are
grippers. An agent is an immutable pytree; `update` is one compiled function that does a whole round: `utd_ratio`
updates of encoder, critics and gripper critic, each on its own batch, then one of policy and temperature.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from hilserl.agents.gripper import changes, choices, to_choice
from hilserl.agents.networks import (
    Critic,
    GripperCritic,
    Policy,
    critic_ensemble,
    ensemble_values,
    sample_squashed,
)
from hilserl.errors import HilserlError
from hilserl.experience import ActionLayout, ExperienceSpec, Transitions
from hilserl.vision.frames import FrameEncoder, VisionConfig
from hilserl.vision.heads import ObservationEncoder

Metrics = dict[str, Array]
_FRAME_KEYS, _NOISE_KEYS = 1, 2


@dataclass(frozen=True)
class AgentConfig:
    """The learner's constants."""

    hidden: tuple[int, ...] = (128, 128)
    """Widths of every network's hidden layers."""
    critics: int = 4
    """Members of the critic ensemble."""
    target_critics: int = 2
    """How many of them, drawn anew each update, the target takes its minimum over (REDQ, arXiv 2101.05982)."""
    utd_ratio: int = 4
    """Critic updates to one policy update."""
    batch_size: int = 128
    discount: float = 0.97
    learning_rate: float = 3e-4
    target_rate: float = 0.005
    """Part of the way that target networks move to the online ones at each critic update."""
    averaging_rate: float = 0.0025
    """Part of the way that the averaged actor, which is what a run is judged by, moves to the actor in each round."""
    initial_temperature: float = 0.01
    target_entropy_per_action: float = -0.5
    gripper_penalty: float = 0.02
    """Taken from the gripper's reward for each gripper that an action sets moving."""
    vision: VisionConfig = field(default_factory=VisionConfig)

    def __post_init__(self) -> None:
        if not 1 <= self.target_critics <= self.critics:
            raise HilserlError(f"target_critics must be 1 to critics={self.critics}, got {self.target_critics}.")
        if not 0 <= self.discount <= 1:
            raise HilserlError(f"discount must lie in [0, 1], got {self.discount}.")
        for name in ("target_rate", "averaging_rate"):
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
    gripper: GripperCritic | None
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
    gripper: GripperCritic | None


class Agent(eqx.Module):
    """Everything the learner trains, as one pytree."""

    actor: Actor
    averaged: Actor
    """The actor averaged over its recent rounds. From one round to the next an actor forgets and relearns how to act in
    rare states; its average does not."""
    critics: Critic
    targets: Values
    log_temperature: Float[Array, ""]
    optimizers: Optimizers
    config: AgentConfig = eqx.field(static=True)
    frames: FrameEncoder = eqx.field(static=True)
    gripper_state: tuple[int, int] = eqx.field(static=True)
    """Where the state tells the grippers' commands: start and stop."""


def _adam(config: AgentConfig) -> optax.GradientTransformation:
    return optax.adam(config.learning_rate)


def create_agent(spec: ExperienceSpec, config: AgentConfig, seed: int) -> Agent:
    """A fresh agent for a spec; the seed decides every weight."""
    policy_key, critic_key, gripper_key, encoder_key = jax.random.split(jax.random.key(seed), 4)
    motions, grippers = len(spec.action.continuous), len(spec.action.grippers)
    frames = FrameEncoder(spec, config.vision)
    encoder = ObservationEncoder(spec, frames, key=encoder_key)
    policy = Policy(encoder.size, motions, config.hidden, key=policy_key)
    critics = critic_ensemble(config.critics, encoder.size + spec.action.size, config.hidden, key=critic_key)
    gripper = None
    if grippers:
        gripper = GripperCritic(encoder.size + motions, grippers, config.hidden, key=gripper_key)
    values = Values(encoder, critics, gripper)
    actor = Actor(encoder, policy, gripper, spec.action)
    log_temperature = jnp.log(jnp.array(config.initial_temperature, jnp.float32))
    adam = _adam(config)
    return Agent(
        actor=actor,
        averaged=actor,
        critics=critics,
        targets=values,
        log_temperature=log_temperature,
        optimizers=Optimizers(*(adam.init(eqx.filter(t, eqx.is_array)) for t in (policy, values, log_temperature))),
        config=config,
        frames=frames,
        gripper_state=(spec.gripper_state.start, spec.gripper_state.stop) if grippers else (0, 0),
    )


def _descend(tree: Any, gradient: Any, state: optax.OptState, config: AgentConfig) -> tuple[Any, optax.OptState]:
    updates, state = _adam(config).update(gradient, state)
    return eqx.apply_updates(tree, updates), state


def _track(target: Any, online: Any, rate: float) -> Any:
    """Moves a network a little towards the one it follows."""
    return jax.tree.map(lambda t, o: t + rate * (o - t) if eqx.is_array(t) else t, target, online)


class _Goals(NamedTuple):
    """What one batch asks of the values; nothing in it is differentiated."""

    critic: Float[Array, "batch"]
    gripper: Float[Array, "batch"] | None


def _goals(agent: Agent, batch: Transitions, key: PRNGKeyArray) -> _Goals:
    """The targets y = r + gamma * Q_target(s', a'), with a' ~ policy.

    For the critics Q_target is the minimum over drawn members of the target ensemble. For the gripper it is Double
    DQN's (arXiv 1509.06461), and the reward is less a penalty for each gripper that the action set moving.
    """
    config, actor, targets = agent.config, agent.actor, agent.targets
    motion_key, member_key = jax.random.split(key)
    noise_key = jax.random.fold_in(key, _NOISE_KEYS)
    seen, seen_by_targets = (encoder(batch.next_observation, noise_key) for encoder in (actor.encoder, targets.encoder))
    motion, _ = sample_squashed(jax.vmap(actor.policy)(seen), motion_key)
    action = jax.vmap(actor.with_grippers)(seen, motion)
    members = jax.random.choice(member_key, config.critics, (config.target_critics,), replace=False)
    chosen = jax.tree.map(lambda leaf: leaf[members] if eqx.is_array(leaf) else leaf, targets.critics)
    future = config.discount * batch.bootstrap
    critic = batch.reward + future * ensemble_values(chosen, seen_by_targets, action).min(0)
    if targets.gripper is None:
        return _Goals(critic, None)
    commands = batch.observation["state"][:, slice(*agent.gripper_state)]
    reward = batch.reward - config.gripper_penalty * changes(commands, _part(batch.action, actor.action.grippers))
    next_values = jax.vmap(targets.gripper)(seen_by_targets, motion)
    best = to_choice(_part(action, actor.action.grippers))[:, None]
    return _Goals(critic, reward + future * jnp.take_along_axis(next_values, best, -1)[:, 0])


def _part(action: Array, indices: tuple[int, ...]) -> Array:
    return action[:, np.array(indices, int)]


def _update_values(agent: Agent, batch: Transitions, key: PRNGKeyArray) -> tuple[Agent, Metrics]:
    """Encoder, critics and gripper regress on their targets; the target networks follow.

    Both kinds of value are of the *joint* action. Blind to each other, motion and gripper would each take credit for
    the other's demonstrated part: standing still is good where an expert then closes, holding is good where an expert
    then moves, and the policy does both for ever.
    """
    config, layout = agent.config, agent.actor.action
    goals = _goals(agent, batch, key)
    noise_key = jax.random.fold_in(key, _NOISE_KEYS + 1)

    def loss(values: Values) -> tuple[Array, Metrics]:
        features = values.encoder(batch.observation, noise_key)
        q = ensemble_values(values.critics, features, batch.action)
        critic_loss = jnp.mean((q - goals.critic) ** 2)
        metrics = {"critic_loss": critic_loss, "q": q.mean(), "q_target": goals.critic.mean()}
        if values.gripper is None or goals.gripper is None:
            return critic_loss, metrics
        taken = to_choice(_part(batch.action, layout.grippers))[:, None]
        choice_values = jax.vmap(values.gripper)(features, _part(batch.action, layout.continuous))
        gripper_q = jnp.take_along_axis(choice_values, taken, -1)[:, 0]
        gripper_loss = jnp.mean((gripper_q - goals.gripper) ** 2)
        return critic_loss + gripper_loss, metrics | {"gripper_loss": gripper_loss, "gripper_q": gripper_q.mean()}

    values = Values(agent.actor.encoder, agent.critics, agent.actor.gripper)
    gradient, metrics = eqx.filter_grad(loss, has_aux=True)(values)
    values, state = _descend(values, gradient, agent.optimizers.values, config)
    actor = dataclasses.replace(agent.actor, encoder=values.encoder, gripper=values.gripper)
    return dataclasses.replace(
        agent,
        actor=actor,
        critics=values.critics,
        targets=_track(agent.targets, values, config.target_rate),
        optimizers=dataclasses.replace(agent.optimizers, values=state),
    ), metrics


def _update_policy(agent: Agent, observation: dict[str, Array], key: PRNGKeyArray) -> tuple[Agent, Metrics]:
    """Ascends mean Q - alpha log pi on what the values have learned to see; alpha follows the entropy to its target."""
    config = agent.config
    features = agent.actor.encoder(observation, jax.random.fold_in(key, _NOISE_KEYS))
    temperature = jnp.exp(agent.log_temperature)

    def loss(policy: Policy) -> tuple[Array, Array]:
        motion, log_density = sample_squashed(jax.vmap(policy)(features), key)
        action = jax.vmap(agent.actor.with_grippers)(features, motion)
        value = ensemble_values(agent.critics, features, action).mean(0)
        return jnp.mean(temperature * log_density - value), -log_density.mean()

    (actor_loss, entropy), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(agent.actor.policy)
    policy, policy_state = _descend(agent.actor.policy, gradient, agent.optimizers.policy, config)
    surplus = entropy - config.target_entropy_per_action * len(agent.actor.action.continuous)
    log_temperature, temperature_state = _descend(
        agent.log_temperature, temperature * surplus, agent.optimizers.temperature, config
    )
    agent = eqx.tree_at(
        lambda a: (a.actor.policy, a.log_temperature, a.optimizers.policy, a.optimizers.temperature),
        agent,
        (policy, log_temperature, policy_state, temperature_state),
    )
    return agent, {"actor_loss": actor_loss, "entropy": entropy, "temperature": temperature}


def _prepared(frames: FrameEncoder, batch: Transitions, key: PRNGKeyArray) -> Transitions:
    now, after = jax.random.split(jax.random.fold_in(key, _FRAME_KEYS))
    return batch._replace(
        observation=frames.prepare(batch.observation, now),
        next_observation=frames.prepare(batch.next_observation, after),
    )


def _round(agent: Agent, batches: Transitions, key: PRNGKeyArray) -> tuple[Agent, Metrics]:
    arrays, static = eqx.partition(agent, eqx.is_array)
    value_key, policy_key = jax.random.split(key)
    utd_ratio = batches.reward.shape[0]

    def value_step(arrays: Any, inputs: tuple[Transitions, PRNGKeyArray]) -> tuple[Any, Metrics]:
        (batch, step_key), current = inputs, eqx.combine(arrays, static)
        current, step_metrics = _update_values(current, _prepared(current.frames, batch, step_key), step_key)
        return eqx.filter(current, eqx.is_array), step_metrics

    arrays, metrics = jax.lax.scan(value_step, arrays, (batches, jax.random.split(value_key, utd_ratio)))
    last = jax.tree.map(lambda leaf: leaf[-1], batches.observation)
    agent = eqx.combine(arrays, static)
    seen = agent.frames.prepare(last, jax.random.fold_in(policy_key, _FRAME_KEYS))
    agent, policy_metrics = _update_policy(agent, seen, policy_key)
    averaged = _track(agent.averaged, agent.actor, agent.config.averaging_rate)
    agent = dataclasses.replace(agent, averaged=averaged)
    return agent, {name: value.mean() for name, value in metrics.items()} | policy_metrics


_compiled_round = eqx.filter_jit(_round)


def update(agent: Agent, batches: Transitions, key: PRNGKeyArray) -> tuple[Agent, Metrics]:
    """One round: as many critic updates as there are batches, then one policy update on the last of them.

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


@eqx.filter_jit
def _compiled_value(agent: Agent, observation: dict[str, Any], action: Array) -> Array:
    seen = agent.actor.encoder(observation)
    return ensemble_values(agent.critics, seen[None], action[None]).mean()


def value(agent: Agent, observation: dict[str, np.ndarray], action: np.ndarray) -> float:
    """Q(s, a) of one observation and action, the mean over the ensemble."""
    seen = {name: observation[name] for name in agent.actor.encoder.names}
    return float(_compiled_value(agent, seen, jnp.asarray(action)))
