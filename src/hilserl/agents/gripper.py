"""Map between gripper actions and the index of a joint choice.

A gripper action is -1, 0 or +1. With k grippers a choice is a number of k digits in base 3, the first gripper's digit
first. Digit 0 closes, 1 holds, 2 opens.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int


def gripper_choices(grippers: int) -> Float[np.ndarray, "choices grippers"]:
    """List the gripper actions of every choice, by index."""
    return np.stack(np.meshgrid(*[[-1.0, 0.0, 1.0]] * grippers, indexing="ij"), -1).reshape(-1, grippers).astype("f4")


def choice_index(actions: Float[Array, "*batch grippers"]) -> Int[Array, "*batch"]:
    """Find the choice nearest to gripper actions in [-1, 1]."""
    digits = jnp.round(actions).astype(jnp.int32) + 1
    weights = 3 ** jnp.arange(actions.shape[-1] - 1, -1, -1)
    return (digits * weights).sum(-1)
