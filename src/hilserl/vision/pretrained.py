"""Checked files of published weights, and the standardisation of ImageNet."""

import hashlib
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Num
from typing_extensions import override

from hilserl.errors import HilserlError

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

DAMAGED = (
    pickle.UnpicklingError,
    struct.error,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
    OverflowError,
    MemoryError,
    RecursionError,
)
"""Exceptions from a damaged file."""


class RestrictedUnpickler(pickle.Unpickler):
    """Unpickler that refuses every name outside a short list."""

    known: ClassVar[Mapping[tuple[str, str], Any]]
    """Objects that a file may name, by module and name."""

    @override
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no file of weights needs")
        return self.known[module, name]


def unreadable(path: Path, error: BaseException) -> HilserlError:
    """Make the error for a damaged file of weights."""
    return HilserlError(f"Cannot read the weights in {path}: {str(error) or type(error).__name__}")


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
