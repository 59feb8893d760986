"""The arrays of a pytree by name: how anything that is trained gets to a file or onto a wire and back."""

from collections.abc import Mapping
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from hilserl.errors import HilserlError

_Tree = TypeVar("_Tree")


def named_arrays(tree: Any) -> dict[str, jax.Array]:
    """The arrays of a pytree by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_array))
    return {jax.tree_util.keystr(path).lstrip("."): leaf for path, leaf in leaves}


def with_arrays(like: _Tree, stored: Mapping[str, np.ndarray]) -> _Tree:
    """A pytree with these arrays in the places of its own. Raises HilserlError where names, shapes or types differ."""
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
