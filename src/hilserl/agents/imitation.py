"""Imitation loss beside soft actor-critic, for demonstrated transitions.

It makes demonstrated actions likely and gives demonstrated gripper choices the highest value. The policy then acts
sensibly before the critics know what is good, and stays near the demonstrations where they know little. This serves
tasks that are too long to be found by exploration. A `cloning_filter` weights it by what the critics think of it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hilserl.agents.agent import Actor, Metrics
from hilserl.agents.cloning import compare_actions
from hilserl.data.step import Transitions

GRIPPER_MARGIN = 0.05
"""Least advantage in value of the demonstrated gripper choice.

It is the cost of one step of delay at a discount of 0.95."""


def imitation_loss(
    actor: Actor,
    features: Float[Array, "batch features"],
    batch: Transitions,
    weight: Float[Array, "batch"],
) -> tuple[Float[Array, ""], Metrics]:
    """Average the imitation loss over a batch's demonstrated transitions.

    The continuous action contributes its negative log-likelihood in nats. The grippers contribute DQfD's large-margin
    loss (arXiv 1704.03732) in units of the margin: `max_c (Q(s, c) + margin * [c != taken]) - Q(s, taken)`.

    Args:
        actor: the actor whose policy and gripper head are compared with the demonstrated actions.
        features: the actor's encoding of the batch's observations.
        batch: transitions with one leading axis.
        weight: weight of each transition, 0 to 1, if it is demonstrated.

    Returns:
        The loss, 0 without demonstrated transitions, and metrics.
    """
    weight = batch.demonstrated * weight / jnp.maximum(1, batch.demonstrated.sum())
    log_prob, error, values, taken = compare_actions(actor, features, batch.imitated)
    loss = -(weight * log_prob).sum()
    metrics = {"continuous_error": jnp.sqrt((weight * jnp.mean(error**2, -1)).sum())}
    if values is not None and taken is not None:
        is_taken = jax.nn.one_hot(taken, values.shape[-1])
        shortfall = (values + GRIPPER_MARGIN * (1 - is_taken)).max(-1) - (values * is_taken).sum(-1)
        loss += (weight * shortfall).sum() / GRIPPER_MARGIN
        metrics["gripper_agreement"] = (weight * (values.argmax(-1) == taken)).sum()
    return loss, metrics | {"imitation_loss": loss, "imitated": weight.sum()}
