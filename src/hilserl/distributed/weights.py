"""Transport of weights in one message."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta

from hilserl.agents.agent import Actor
from hilserl.data.arrays import named_arrays, with_arrays
from hilserl.distributed.protocol import MAX_MESSAGE_BYTES, Count, Name, ProtocolError
from hilserl.errors import HilserlError

Arrays = Mapping[str, np.ndarray]
_NUMBERS = {np.dtype(code).name: np.dtype(code) for code in "?bBhHiIlLqQefd"}
"""Types of arrays by name. NumPy's own reader of names takes whole structures, in Python's syntax."""


class _Shape(NamedTuple):
    """An array without its numbers."""

    name: Name
    dtype: Annotated[str, Meta(max_length=20)]
    shape: Annotated[tuple[Count, ...], Meta(max_length=8)]


class _Head(msgspec.Struct, frozen=True):
    """Head of a message with weights."""

    life: Count
    version: Count
    arrays: Annotated[tuple[_Shape, ...], Meta(max_length=10_000)]


@dataclass(frozen=True)
class Weights:
    """Weights of one version.

    Args:
        life: Identity of the learner's process; after a restart from an older checkpoint it is another one.
        version: Update steps within a life.
        arrays: Arrays by their paths in the actor.
    """

    life: int
    version: int
    arrays: Arrays


def weights_of(actor: Actor) -> Arrays:
    """Return an actor's arrays; on a CPU they are not copied."""
    return {name: np.asarray(leaf) for name, leaf in named_arrays(actor).items()}


def with_weights(like: Actor, arrays: Arrays) -> Actor:
    """Return an actor of the same form with other arrays.

    Raises:
        ProtocolError: The arrays have another form, or hold a number that is not finite.
    """
    # Array by array, so that other threads have their turn between them.
    bad = [name for name, array in arrays.items() if not np.isfinite(array).all()]
    if bad:
        raise ProtocolError(f"The learner's weights are not finite: {bad[0]}.")
    try:
        return with_arrays(like, arrays)
    except HilserlError as error:
        raise ProtocolError(f"The learner's weights do not fit the actor: {error}") from error


def pack_weights(weights: Weights | None) -> bytes:
    """Pack weights: a head as JSON, a line break, all arrays.

    Without weights the result is empty.
    """
    if weights is None:
        return b""
    shapes = tuple(_Shape(name, array.dtype.name, array.shape) for name, array in weights.arrays.items())
    numbers = [np.ascontiguousarray(array).reshape(-1) for array in weights.arrays.values()]
    head = msgspec.json.encode(_Head(weights.life, weights.version, shapes))
    return b"".join([head, b"\n", *(each.view(np.uint8).data for each in numbers)])


def unpack_weights(message: bytes) -> Weights | None:
    """Read the result of `pack_weights`; the arrays are views of it.

    Raises:
        ProtocolError: The message is anything else.
    """
    if not message:
        return None
    arrays: dict[str, np.ndarray] = {}
    try:
        place = message.index(b"\n", 0, MAX_MESSAGE_BYTES) + 1
        head = msgspec.json.decode(message[: place - 1], type=_Head)
        for name, dtype, shape in head.arrays:
            if dtype not in _NUMBERS:
                raise ValueError(f"numbers of type {dtype!r}")
            kind, count = _NUMBERS[dtype], math.prod(shape)
            arrays[name] = np.frombuffer(message, kind, count, place).reshape(shape)
            place += arrays[name].nbytes
        if place != len(message):
            raise ValueError(f"{len(message) - place} bytes are left")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"The learner's weights cannot be read: {error}.") from error
    return Weights(head.life, head.version, arrays)
