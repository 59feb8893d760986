"""The gripper as a choice: the map between gripper actions in {-1, 0, +1} and the index of a joint choice.

With k grippers a choice is a number of k digits in base 3, the first gripper's digit first; digit 0 closes, 1 holds,
2 opens.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def choices(grippers: int) -> Float[np.ndarray, "choices grippers"]:
    """The gripper actions of every choice, in order."""
    return np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * grippers, indexing="ij"), -1).reshape(-1, grippers).astype("f4")


def to_choice(actions: Float[Array, "*batch grippers"]) -> Int[Array, "*batch"]:
    """The choice nearest to gripper actions in [-1, 1]."""
    digits = jnp.round(actions).astype(jnp.int32) + 1
    weights = 3 ** jnp.arange(actions.shape[-1] - 1, -1, -1)
    return (digits * weights).sum(-1)


def changes(
    commands: Float[Array, "*batch grippers"], actions: Float[Array, "*batch grippers"]
) -> Float[Array, "*batch"]:
    """How many grippers an action sets moving: those told to close while open, or to open while closed.

    `commands` (+1 open, -1 closed) is what the grippers were told *before* the action.
    """
    return ((jnp.abs(actions) > 0.5) & (commands * actions < 0)).sum(-1).astype(jnp.float32)
