"""Checked files of published weights, and the standardisation of ImageNet."""

import hashlib
from pathlib import Path
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from hilserl.errors import HilserlError

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def check_weights(path: Path, sha256: str, remedy: str) -> None:
    """Check that a file exists and is the published one.

    Args:
        path: the file of weights.
        sha256: checksum of the published file.
        remedy: last sentence of the error.

    Raises:
        HilserlError: the file is absent or another one.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"
    if digest != sha256:
        raise HilserlError(
            f"The encoder's weights in {path} are damaged (SHA-256 {digest[:12]}, expected {sha256[:12]}). {remedy}"
        )


def standardise(images: Num[Any, "batch height width 3"], dtype: Any) -> Float[Array, "batch height width 3"]:
    """Standardise RGB from 0 to 255 to ImageNet's mean and deviation."""
    return ((images.astype(jnp.float32) / 255.0 - jnp.array(_MEAN)) / jnp.array(_STD)).astype(dtype)
