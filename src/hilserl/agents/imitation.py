"""Imitation beside soft actor-critic: a person's actions are to be likely, and their grippers' choices the best valued.

It gives a policy its manners before the values know what is good, and holds it near what people do where they know
little: for tasks that are too long to be found out by trying.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hilserl.agents.agent import Actor, Metrics
from hilserl.agents.cloning import compared
from hilserl.data.step import Transitions

GRIPPER_MARGIN = 0.05
"""By how much a person's choice for the grippers is to be worth more than any other: what one step of delay costs at a
discount of 0.95."""


def imitation_loss(
    actor: Actor, features: Float[Array, "batch features"], batch: Transitions
) -> tuple[Float[Array, ""], Metrics]:
    """The mean over the batch's demonstrated transitions; 0 where it has none.

    Of the motion, how unexpected it is, in nats. Of the grippers, by how many margins the person's choice falls short
    of the best other one and a margin (DQfD, arXiv 1704.03732).

    Args:
        actor: whose policy and gripper are asked.
        features: what its encoder makes of the observations.
        batch: transitions with one leading axis.
    """
    weight = batch.demonstrated / jnp.maximum(1, batch.demonstrated.sum())
    log_prob, error, values, taken = compared(actor, features, batch.action)
    loss = -(weight * log_prob).sum()
    metrics = {"motion_error": jnp.sqrt((weight * jnp.mean(error**2, -1)).sum())}
    if values is not None and taken is not None:
        is_taken = jax.nn.one_hot(taken, values.shape[-1])
        shortfall = (values + GRIPPER_MARGIN * (1 - is_taken)).max(-1) - (values * is_taken).sum(-1)
        loss += (weight * shortfall).sum() / GRIPPER_MARGIN
        metrics["gripper_agreement"] = (weight * (values.argmax(-1) == taken)).sum()
    return loss, metrics | {"imitation_loss": loss}
