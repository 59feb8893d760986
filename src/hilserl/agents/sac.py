"""Soft actor-critic with prior data (RLPD, arXiv 2302.02948) and learned grippers (HIL-SERL, arXiv 2410.21845).

One class serves arms without a learned gripper, with one, and with two: the action layout says which actions are
grippers. An agent is an immutable pytree; `update` is one compiled function that does a whole round: `utd_ratio`
updates of critics and gripper critic, each on its own batch, then one of policy and temperature.
"""

from dataclasses import dataclass
from typing import Any

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
    StateEncoder,
    critic_ensemble,
    ensemble_values,
    sample_squashed,
)
from hilserl.errors import HilserlError
from hilserl.experience import ActionLayout, ExperienceSpec, Transitions

Metrics = dict[str, Array]


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
    batch_size: int = 256
    discount: float = 0.97
    learning_rate: float = 3e-4
    target_rate: float = 0.005
    """Part of the way that target networks move to the online ones at each critic update."""
    initial_temperature: float = 0.01
    target_entropy_per_action: float = -0.5
    gripper_penalty: float = 0.02
    """Taken from the gripper's reward for each gripper that an action sets moving."""

    def __post_init__(self) -> None:
        if not 1 <= self.target_critics <= self.critics:
            raise HilserlError(f"target_critics must be 1 to critics={self.critics}, got {self.target_critics}.")
        if not 0 <= self.discount <= 1 or not 0 < self.target_rate <= 1:
            raise HilserlError(f"discount {self.discount} and target_rate {self.target_rate} must lie in [0, 1].")
        for name in ("utd_ratio", "batch_size"):
            if getattr(self, name) < 1:
                raise HilserlError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if not self.hidden or min(self.hidden) < 1:
            raise HilserlError(f"hidden must name at least one positive width, got {self.hidden}.")


class Actor(eqx.Module):
    """The part of an agent that acts: all that an actor process needs, and what a learner publishes."""

    encoder: StateEncoder
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
    critics: optax.OptState
    gripper: optax.OptState
    temperature: optax.OptState


class Agent(eqx.Module):
    """Everything the learner trains, as one pytree."""

    actor: Actor
    critics: Critic
    target_critics: Critic
    target_gripper: GripperCritic | None
    log_temperature: Float[Array, ""]
    optimizers: Optimizers
    config: AgentConfig = eqx.field(static=True)
    gripper_state: tuple[int, int] = eqx.field(static=True)
    """Where the state tells the grippers' commands: start and stop."""


def _adam(config: AgentConfig) -> optax.GradientTransformation:
    return optax.adam(config.learning_rate)


def create_agent(spec: ExperienceSpec, config: AgentConfig, seed: int) -> Agent:
    """A fresh agent for a spec; the seed decides every weight."""
    if spec.images:
        raise HilserlError(f"This agent learns from state; the task shows cameras {[name for name, _ in spec.images]}.")
    policy_key, critic_key, gripper_key = jax.random.split(jax.random.key(seed), 3)
    motions, grippers = len(spec.action.continuous), len(spec.action.grippers)
    encoder = StateEncoder(jnp.array(spec.state.centre), jnp.array(spec.state.scale))
    policy = Policy(spec.state.size, motions, config.hidden, key=policy_key)
    critics = critic_ensemble(config.critics, spec.state.size + spec.action.size, config.hidden, key=critic_key)
    gripper = None
    if grippers:
        gripper = GripperCritic(spec.state.size + motions, grippers, config.hidden, key=gripper_key)
    log_temperature = jnp.log(jnp.array(config.initial_temperature, jnp.float32))
    adam = _adam(config)
    states = [adam.init(eqx.filter(tree, eqx.is_array)) for tree in (policy, critics, gripper, log_temperature)]
    return Agent(
        actor=Actor(encoder, policy, gripper, spec.action),
        critics=critics,
        target_critics=critics,
        target_gripper=gripper,
        log_temperature=log_temperature,
        optimizers=Optimizers(*states),
        config=config,
        gripper_state=(spec.gripper_state.start, spec.gripper_state.stop) if grippers else (0, 0),
    )


def _descend(tree: Any, gradient: Any, state: optax.OptState, config: AgentConfig) -> tuple[Any, optax.OptState]:
    updates, state = _adam(config).update(gradient, state)
    return eqx.apply_updates(tree, updates), state


def _track(target: Any, online: Any, rate: float) -> Any:
    """Moves a target network a little towards the online one."""
    return jax.tree.map(lambda t, o: t + rate * (o - t) if eqx.is_array(t) else t, target, online)


def _update_critics(agent: Agent, batch: Transitions, key: PRNGKeyArray) -> tuple[Agent, Metrics]:
    """y = r + gamma * min over drawn members of Q_target(s', a'), a' ~ policy; every member regresses on y."""
    config = agent.config
    action_key, member_key = jax.random.split(key)
    features, next_features = agent.actor.encoder(batch.observation), agent.actor.encoder(batch.next_observation)
    next_motion, _ = sample_squashed(jax.vmap(agent.actor.policy)(next_features), action_key)
    next_action = jax.vmap(agent.actor.with_grippers)(next_features, next_motion)
    members = jax.random.choice(member_key, config.critics, (config.target_critics,), replace=False)
    chosen = jax.tree.map(lambda leaf: leaf[members] if eqx.is_array(leaf) else leaf, agent.target_critics)
    next_value = ensemble_values(chosen, next_features, next_action).min(0)
    target = batch.reward + config.discount * batch.bootstrap * next_value

    def loss(critics: Critic) -> tuple[Array, Metrics]:
        values = ensemble_values(critics, features, batch.action)
        error = jnp.mean((values - target) ** 2)
        return error, {"critic_loss": error, "q": values.mean(), "q_target": target.mean()}

    gradient, metrics = eqx.filter_grad(loss, has_aux=True)(agent.critics)
    critics, state = _descend(agent.critics, gradient, agent.optimizers.critics, config)
    targets = _track(agent.target_critics, critics, config.target_rate)
    agent = eqx.tree_at(lambda a: (a.critics, a.target_critics, a.optimizers.critics), agent, (critics, targets, state))
    return agent, metrics


def _update_gripper(agent: Agent, batch: Transitions, key: PRNGKeyArray) -> tuple[Agent, Metrics]:
    """Double DQN (arXiv 1509.06461) on the gripper's choices, with a penalty for setting a gripper moving.

    The Q-values are of the choice *beside the motion it came with*. Blind to each other, motion and gripper would each
    take credit for the other's demonstrated part: standing still is good where an expert then closes, holding is good
    where an expert then moves, and the policy does both for ever.
    """
    config, gripper, target_gripper = agent.config, agent.actor.gripper, agent.target_gripper
    if gripper is None or target_gripper is None:
        return agent, {}
    features, next_features = agent.actor.encoder(batch.observation), agent.actor.encoder(batch.next_observation)
    motion, actions = (
        batch.action[:, jnp.array(part)] for part in (agent.actor.action.continuous, agent.actor.action.grippers)
    )
    commands = batch.observation["state"][:, slice(*agent.gripper_state)]
    reward = batch.reward - config.gripper_penalty * changes(commands, actions)
    next_motion, _ = sample_squashed(jax.vmap(agent.actor.policy)(next_features), key)
    best = jnp.argmax(jax.vmap(gripper)(next_features, next_motion), -1)
    next_values = jax.vmap(target_gripper)(next_features, next_motion)
    next_value = jnp.take_along_axis(next_values, best[:, None], -1)[:, 0]
    target = reward + config.discount * batch.bootstrap * next_value
    taken = to_choice(actions)[:, None]

    def loss(network: GripperCritic) -> tuple[Array, Metrics]:
        values = jnp.take_along_axis(jax.vmap(network)(features, motion), taken, -1)[:, 0]
        error = jnp.mean((values - target) ** 2)
        return error, {"gripper_loss": error, "gripper_q": values.mean()}

    gradient, metrics = eqx.filter_grad(loss, has_aux=True)(gripper)
    gripper, state = _descend(gripper, gradient, agent.optimizers.gripper, config)
    target_gripper = _track(target_gripper, gripper, config.target_rate)
    agent = eqx.tree_at(
        lambda a: (a.actor.gripper, a.target_gripper, a.optimizers.gripper), agent, (gripper, target_gripper, state)
    )
    return agent, metrics


def _update_policy(agent: Agent, batch: Transitions, key: PRNGKeyArray) -> tuple[Agent, Metrics]:
    """Ascends mean Q - alpha log pi; then alpha follows the entropy to its target."""
    config = agent.config
    features = agent.actor.encoder(batch.observation)
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


def _round(agent: Agent, batches: Transitions, key: PRNGKeyArray) -> tuple[Agent, Metrics]:
    arrays, static = eqx.partition(agent, eqx.is_array)
    critic_key, policy_key = jax.random.split(key)
    utd_ratio = batches.reward.shape[0]

    def critic_step(arrays: Any, inputs: tuple[Transitions, PRNGKeyArray]) -> tuple[Any, Metrics]:
        batch, step_key = inputs
        motion_key, gripper_key = jax.random.split(step_key)
        current, critic_metrics = _update_critics(eqx.combine(arrays, static), batch, motion_key)
        current, gripper_metrics = _update_gripper(current, batch, gripper_key)
        return eqx.filter(current, eqx.is_array), critic_metrics | gripper_metrics

    arrays, metrics = jax.lax.scan(critic_step, arrays, (batches, jax.random.split(critic_key, utd_ratio)))
    last = jax.tree.map(lambda leaf: leaf[-1], batches)
    agent, policy_metrics = _update_policy(eqx.combine(arrays, static), last, policy_key)
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
    return np.asarray(_compiled_act(actor, observation, key, explore))
