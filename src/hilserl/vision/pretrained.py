"""What encoders with published weights share: files that are checked and read without running them, and ImageNet."""

import hashlib
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

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
"""What reading a damaged file may raise."""


class RestrictedUnpickler(pickle.Unpickler):
    """An unpickler that knows the few names a file of weights needs, by module and name, and refuses every other."""

    known: ClassVar[Mapping[tuple[str, str], Any]]

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which a file of weights has no need of")
        return self.known[module, name]


def unreadable(path: Path, error: BaseException) -> HilserlError:
    """The error for a file of weights that is not what it should be."""
    return HilserlError(f"Cannot read the weights in {path}: {str(error) or type(error).__name__}")


def check_weights(path: Path, sha256: str, mend: str) -> None:
    """Raises HilserlError, which ends with how to mend it, unless the file is there and is the published one."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "absent"
    if digest != sha256:
        raise HilserlError(
            f"The encoder's weights in {path} are damaged (SHA-256 {digest[:12]}, expected {sha256[:12]}). {mend}"
        )


def standardised(images: Num[Array, "batch height width 3"], dtype: Any) -> Float[Array, "batch height width 3"]:
    """RGB from 0 to 255 as networks trained on ImageNet expect it."""
    return ((images.astype(jnp.float32) / 255.0 - jnp.array(_MEAN)) / jnp.array(_STD)).astype(dtype)
