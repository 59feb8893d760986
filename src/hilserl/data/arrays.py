"""Arrays of a pytree by name, to write and send weights."""

from collections.abc import Mapping
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hilserl.errors import HilserlError

_Tree = TypeVar("_Tree")


def named_arrays(tree: Any) -> dict[str, jax.Array]:
    """List the arrays of a pytree by their paths, as in `actor.policy.mean.weight`."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_array))
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves}


def with_arrays(like: _Tree, stored: Mapping[str, np.ndarray | jax.Array]) -> _Tree:
    """Replace the arrays of a pytree.

    Args:
        like: pytree with the same names, shapes and dtypes.
        stored: arrays by name, as `named_arrays` gives them.

    Raises:
        HilserlError: a name, a shape or a dtype differs.
    """
    expected = named_arrays(like)
    wrong = list(stored.keys() ^ expected.keys())
    wrong += [
        name
        for name in stored.keys() & expected.keys()
        if (stored[name].shape, stored[name].dtype) != (expected[name].shape, expected[name].dtype)
    ]
    if wrong:
        raise HilserlError(f"{sorted(wrong)[0]} and {len(wrong) - 1} more arrays differ")
    leaves = [jnp.asarray(stored[name]) for name in expected]
    arrays, static = eqx.partition(like, eqx.is_array)
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), leaves), static)
