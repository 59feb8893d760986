"""Reader of pickles that loads only what it knows.

It imports no JAX, whose start a conversion of recordings need not wait for.
"""

import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from hilserl.errors import HilserlError

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
