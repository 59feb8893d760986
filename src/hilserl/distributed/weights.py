"""Transport of weights: an Arrow stream with one array in each batch.

So no thread handles 20 MB at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hilserl.agents.agent import Actor
from hilserl.data.arrays import named_arrays, with_arrays
from hilserl.distributed.protocol import ProtocolError
from hilserl.errors import HilserlError

Arrays = Mapping[str, np.ndarray]
SCHEMA = pa.schema(
    [
        pa.field("life", pa.int64()),
        pa.field("version", pa.int64()),
        pa.field("name", pa.string()),
        pa.field("type", pa.string()),
        pa.field("shape", pa.list_(pa.int64())),
        pa.field("data", pa.large_binary()),
    ]
)


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


def to_table(weights: Weights | None) -> pa.Table:
    """Build a table with one chunk for each array; empty without weights."""
    if weights is None:
        return SCHEMA.empty_table()
    return pa.Table.from_batches([_batch(weights, name, array) for name, array in weights.arrays.items()], SCHEMA)


def _batch(weights: Weights, name: str, array: np.ndarray) -> pa.RecordBatch:
    offsets = pa.array([0, array.nbytes], pa.int64()).buffers()[1]
    buffer = pa.py_buffer(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
    values = [[weights.life], [weights.version], [name], [array.dtype.name], [list(array.shape)]]
    columns = [pa.array(value, SCHEMA.field(i).type) for i, value in enumerate(values)]
    data = pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, buffer])
    return pa.RecordBatch.from_arrays([*columns, data], schema=SCHEMA)


def from_batches(batches: Iterable[pa.RecordBatch]) -> Weights | None:
    """Read the batches of `to_table`; the arrays are views of them.

    Raises:
        ProtocolError: The batches hold anything else.
    """
    arrays: dict[str, np.ndarray] = {}
    life = version = 0
    try:
        for batch in batches:
            if batch.schema != SCHEMA:
                raise ValueError(f"columns {batch.schema.names}, expected {SCHEMA.names}")
            for row in range(batch.num_rows):
                life, version, name, kind, shape = (batch.column(i)[row].as_py() for i in range(5))
                arrays[name] = np.frombuffer(batch.column(5)[row].as_buffer(), np.dtype(kind)).reshape(shape)
    except (TypeError, ValueError, AttributeError) as error:
        raise ProtocolError(f"The learner's weights cannot be read: {error}.") from error
    return Weights(life, version, arrays) if arrays else None
