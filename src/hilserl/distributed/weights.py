"""Transport of weights: one array in each message.

So no thread handles 20 MB at once.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta

from hilserl.agents.agent import Actor
from hilserl.data.arrays import named_arrays, with_arrays
from hilserl.distributed.protocol import MAX_MESSAGE_BYTES, Count, Name, ProtocolError
from hilserl.errors import HilserlError

Arrays = Mapping[str, np.ndarray]


class _Head(msgspec.Struct, frozen=True):
    """Head of the message of one array."""

    life: Count
    version: Count
    name: Name
    dtype: Annotated[str, Meta(max_length=20)]
    shape: Annotated[tuple[Count, ...], Meta(max_length=8)]


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


def to_parts(weights: Weights | None) -> Iterator[bytes]:
    """Yield a message for each array; without weights there is none.

    A message is its head as JSON, a line break and its numbers.
    """
    if weights is None:
        return
    for name, array in weights.arrays.items():
        head = _Head(weights.life, weights.version, name, array.dtype.name, array.shape)
        yield msgspec.json.encode(head) + b"\n" + np.ascontiguousarray(array).tobytes()


def from_parts(parts: Iterable[bytes]) -> Weights | None:
    """Read the messages of `to_parts`; the arrays are views of them.

    Raises:
        ProtocolError: A message is anything else.
    """
    arrays: dict[str, np.ndarray] = {}
    life = version = 0
    for part in parts:
        end = part.find(b"\n", 0, MAX_MESSAGE_BYTES)
        try:
            head = msgspec.json.decode(part[: max(end, 0)], type=_Head)
            kind = np.dtype(head.dtype)
            if kind.kind not in "fiub":
                raise ValueError(f"numbers of type {head.dtype}")
            arrays[head.name] = np.frombuffer(part, kind, offset=end + 1).reshape(head.shape)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, TypeError, ValueError) as error:
            raise ProtocolError(f"The learner's weights cannot be read: {error}.") from error
        life, version = head.life, head.version
    return Weights(life, version, arrays) if arrays else None
