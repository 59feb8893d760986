"""Imitation beside soft actor-critic: a person's actions are to be likely, and their grippers' choices the best valued.

It gives a policy its manners before the values know what is good, and holds it near what people do where they know
little: for tasks that are too long to be found out by trying.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from hilserl.agents.agent import Actor, Metrics, part
from hilserl.agents.gripper import to_choice
from hilserl.agents.networks import squashed_log_density
from hilserl.experience import Transitions

GRIPPER_MARGIN = 0.05
"""By how much a person's choice for the grippers is to be worth more than any other: what one step of delay costs at a
discount of 0.95."""


def imitation_loss(
    actor: Actor, features: Float[Array, "batch features"], batch: Transitions
) -> tuple[Float[Array, ""], Metrics]:
    """The mean over the batch's demonstrated transitions; 0 where it has none.

    Of the motion, how unexpected it is, in nats. Of the grippers, by how many margins the person's choice falls short
    of the best other one and a margin (DQfD, arXiv 1704.03732), beside the motion that the policy would choose, as
    they are asked when the actor acts.

    Args:
        actor: whose policy and gripper are asked.
        features: what its encoder makes of the observations.
        batch: transitions with one leading axis.
    """
    weight = batch.demonstrated / jnp.maximum(1, batch.demonstrated.sum())
    output = jax.vmap(actor.policy)(features)
    motion, chosen = part(batch.action, actor.action.continuous), jnp.tanh(output.mean)
    loss = -(weight * squashed_log_density(output, motion)).sum()
    metrics = {"motion_error": jnp.sqrt((weight * jnp.mean((chosen - motion) ** 2, -1)).sum())}
    if actor.gripper is not None:
        values = jax.vmap(actor.gripper)(features, jax.lax.stop_gradient(chosen))
        taken = to_choice(part(batch.action, actor.action.grippers))
        is_taken = jax.nn.one_hot(taken, values.shape[-1])
        shortfall = (values + GRIPPER_MARGIN * (1 - is_taken)).max(-1) - (values * is_taken).sum(-1)
        loss += (weight * shortfall).sum() / GRIPPER_MARGIN
        metrics["gripper_agreement"] = (weight * (values.argmax(-1) == taken)).sum()
    return loss, metrics | {"imitation_loss": loss}
