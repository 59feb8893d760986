"""Actor, settings and update step that all learning algorithms share.

An agent is an immutable pytree, and one update step is one compiled function: soft actor-critic in `sac.py`, behaviour
cloning in `cloning.py`. Both train the same `Actor`, so acting, checkpoints, evaluation and videos do not depend on the
algorithm.
"""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from hilserl.agents.gripper import gripper_choices
from hilserl.agents.networks import GripperHead, Policy, sample_squashed
from hilserl.data.spec import ActionLayout, ExperienceSpec
from hilserl.data.step import Transitions
from hilserl.errors import HilserlError
from hilserl.settings import AtLeastOne, Fraction, NotNegative, Positive, Rate, check_settings
from hilserl.vision.frame_encoder import FrameEncoder, VisionConfig
from hilserl.vision.heads import ObservationEncoder

Metrics = dict[str, Array]
"""Named scalars of one update step."""
IMAGE_KEYS, NOISE_KEYS = 1, 2
"""Constants folded into random keys, for image shifts and feature noise."""


@dataclass(frozen=True)
class AgentConfig:
    """Settings of the learning algorithm."""

    hidden: tuple[AtLeastOne, ...] = (128, 128)
    """Widths of every network's hidden layers."""
    num_critics: AtLeastOne = 4
    """Members of the critic ensemble."""
    num_target_critics: AtLeastOne = 2
    """Ensemble members drawn for each TD target.

    The target takes their minimum (REDQ, arXiv 2101.05982)."""
    utd_ratio: AtLeastOne = 4
    """Critic updates in an update step, which has one actor update."""
    batch_size: AtLeastOne = 128
    """Transitions in a batch."""
    discount: Fraction = 0.97
    """Discount factor gamma of one control step."""
    learning_rate: Positive = 3e-4
    """Step size of Adam, for all networks."""
    tau: Rate = 0.005
    """Step of the target networks towards the online ones, each critic update."""
    ema_rate: Rate = 0.01
    """Step of the averaged actor towards the actor, each update step.

    Evaluations use the averaged actor."""
    initial_temperature: float = 0.01
    """Entropy temperature alpha at the start."""
    target_entropy_per_action: float = -0.5
    """Target entropy in nats for each continuous action."""
    cloning_weight: NotNegative = 0.0
    """Weight of the imitation loss in soft actor-critic; 0 omits it."""
    cloning_half_life: AtLeastOne | None = None
    """Critic updates in which the cloning weight halves; None keeps it constant.

    The fading weight lets the critics decide in the end (as in DAPG, arXiv 1709.10087)."""
    cloning_filter: bool = False
    """Weight each imitated action by what the critics expect it to lose.

    The weight is exp(-loss / tolerance), where the loss is the policy's value minus the action's (CRR, arXiv
    2006.15134), and the tolerance is the value of one control step, (1 - discount) |Q|. The critics judge once the
    cloning before acting has ended."""
    imitate_stillness: bool = False
    """Imitate also the steps in which the operator commanded nothing.

    Hands at keys rest in a third of their steps, and a clone of that hesitates. A task that is about waiting needs
    them."""
    imitated_motions: AtLeastOne | None = None
    """Motions of the operator that an imitated action makes at once.

    People at keys move one axis after the other. By default it is the number of axes divided by the mean number that
    the demonstrations move at once: 1 for hands that move all together. It must be 1 where actions are not
    displacements."""
    relative_values: bool = False
    """Compare values by their ratio instead of their difference.

    Long before a success all values are small. The policy's loss divides them by their size, and a change of a gripper
    costs half a step's discount instead of `gripper_penalty`."""
    return_floor: bool = True
    """Keep the critics' targets above the return that followed.

    It is known in episodes that terminated (MCAC, arXiv 2210.07432)."""
    gripper_penalty: NotNegative = 0.02
    """Penalty for each gripper that an action sets in motion.

    It is deducted from the reward of the gripper head."""
    vision: VisionConfig = field(default_factory=VisionConfig)
    """Image encoder and camera heads."""

    def __post_init__(self) -> None:
        check_settings(self)
        if self.num_target_critics > self.num_critics:
            raise HilserlError(
                f"num_target_critics must be 1 to num_critics={self.num_critics}, got {self.num_target_critics}."
            )
        if not self.hidden:
            raise HilserlError("hidden must name at least one width, got none.")


class Actor(eqx.Module):
    """Observation encoder, policy and gripper head that choose actions.

    An actor process needs nothing else of an agent, so this is what a learner publishes.
    """

    encoder: ObservationEncoder
    policy: Policy
    gripper: GripperHead | None
    """Head for the grippers' choices; None without learned grippers."""
    action: ActionLayout = eqx.field(static=True)

    def __call__(
        self, observation: dict[str, Shaped[Any, "..."]], key: PRNGKeyArray, *, explore: bool
    ) -> Float[Array, "action"]:
        """Choose one action for one observation.

        Args:
            observation: state and camera features without a batch axis, by the names of `encoder.names`.
            key: random key of the sample; ignored without exploration.
            explore: sample the policy; otherwise take its mean. The grippers' choice is the best one in both cases.
        """
        features = self.encoder(observation)
        output = self.policy(features)
        continuous = sample_squashed(output, key)[0] if explore else jnp.tanh(output.mean)
        return self.with_grippers(features, continuous)

    def with_grippers(
        self, features: Float[Array, "inputs"], continuous: Float[Array, "continuous"]
    ) -> Float[Array, "action"]:
        """Complete a continuous action with the best gripper choice beside it."""
        if self.gripper is None:
            return continuous
        table = jnp.array(gripper_choices(len(self.action.grippers)))
        best = jax.nn.one_hot(jnp.argmax(self.gripper(features, continuous)), len(table)) @ table
        order = np.argsort(self.action.continuous + self.action.grippers)
        return jnp.concatenate([continuous, best])[order]


def create_actor(
    spec: ExperienceSpec, frame_encoder: FrameEncoder, config: AgentConfig, keys: Sequence[PRNGKeyArray]
) -> Actor:
    """Create an actor with random weights.

    Args:
        spec: layouts of state, action and images.
        frame_encoder: encoder of the spec's camera images.
        config: widths of the networks.
        keys: three random keys, for encoder, policy and gripper.
    """
    encoder_key, policy_key, gripper_key = keys
    continuous, grippers = len(spec.action.continuous), len(spec.action.grippers)
    encoder = ObservationEncoder(spec, frame_encoder, key=encoder_key)
    policy = Policy(encoder.size, continuous, config.hidden, key=policy_key)
    gripper = GripperHead(encoder.size + continuous, grippers, config.hidden, key=gripper_key) if grippers else None
    return Actor(encoder, policy, gripper, spec.action)


AgentT = TypeVar("AgentT", bound="Agent")


class Agent(eqx.Module):
    """All parameters and optimizer states of a learner as one pytree."""

    actor: Actor
    ema_actor: Actor
    """Exponential moving average of the actor over recent update steps.

    From one update step to the next an actor forgets and relearns how to act in rare states; its average does not."""
    config: AgentConfig = eqx.field(static=True)
    frame_encoder: FrameEncoder = eqx.field(static=True)

    @property
    def encoders(self) -> list[ObservationEncoder]:
        """Every observation encoder of the agent."""
        return [self.actor.encoder, self.ema_actor.encoder]

    def standardised(self: AgentT, observation: dict[str, Shaped[Any, "batch ..."]]) -> AgentT:
        """Return the agent with camera features standardised.

        Their mean and deviation are taken from these observations, once, before the first update step.
        """
        encoders = [encoder.standardised(observation) for encoder in self.encoders]
        return eqx.tree_at(lambda agent: agent.encoders, self, encoders)

    @abstractmethod
    def update_step(self: AgentT, batches: Transitions, key: PRNGKeyArray) -> tuple[AgentT, Metrics]:
        """Do one update step; the function `update_step` compiles it."""


def make_optimizer(config: AgentConfig) -> optax.GradientTransformation:
    """Make the optimizer that all parameters use: Adam."""
    return optax.adam(config.learning_rate)


def apply_gradients(tree: Any, gradient: Any, state: optax.OptState, config: AgentConfig) -> tuple[Any, optax.OptState]:
    """Return parameters and optimizer state after one step of Adam."""
    updates, state = make_optimizer(config).update(gradient, state)
    return eqx.apply_updates(tree, updates), state


def polyak_update(target: Any, online: Any, rate: float) -> Any:
    """Move a target network towards the online network.

    The result is `target + rate * (online - target)`.
    """
    return jax.tree.map(lambda t, o: t + rate * (o - t) if eqx.is_array(t) else t, target, online)


def select(vectors: Float[Array, "batch numbers"], indices: tuple[int, ...]) -> Float[Array, "batch selected"]:
    """Select some numbers of each action or state in a batch."""
    return vectors[:, np.array(indices, int)]


def augment_batch(frame_encoder: FrameEncoder, batch: Transitions, key: PRNGKeyArray) -> Transitions:
    """Shift and encode a batch's images, where replay stores images."""
    now, after = jax.random.split(jax.random.fold_in(key, IMAGE_KEYS))
    return batch._replace(
        observation=frame_encoder.augment(batch.observation, now),
        next_observation=frame_encoder.augment(batch.next_observation, after),
    )


@eqx.filter_jit
def update_step(agent: AgentT, batches: Transitions, key: PRNGKeyArray) -> tuple[AgentT, Metrics]:
    """Do one update step.

    Soft actor-critic updates the critics on each batch, then the actor once. Behaviour cloning updates the actor on
    each batch.

    Args:
        agent: the agent, which stays as it is.
        batches: transitions with leading axes [utd_ratio, batch].
        key: random key that decides everything random in the step.

    Returns:
        The updated agent and scalar metrics.
    """
    return agent.update_step(batches, key)


@eqx.filter_jit
def _compiled_act(actor: Actor, observation: dict[str, Any], key: PRNGKeyArray, explore: bool) -> Array:
    return actor(observation, key, explore=explore)


def act(actor: Actor, observation: dict[str, np.ndarray], key: PRNGKeyArray, *, explore: bool) -> np.ndarray:
    """Choose one action for an environment, float32 [action].

    Args:
        actor: the actor.
        observation: state and camera features, or images, without a batch axis; other entries are ignored.
        key: random key of the sample.
        explore: sample the policy; otherwise the action is deterministic and the key is ignored.
    """
    inputs = {name: observation[name] for name in actor.encoder.names}
    return np.asarray(_compiled_act(actor, inputs, key, explore))
