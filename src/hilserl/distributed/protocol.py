"""What actor and learner say to each other: messages as JSON, steps and weights as Arrow. Nothing else is understood,
and everything has a largest size.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import Meta

from hilserl import __version__
from hilserl.data.arrow import METADATA_KEY, arrow_schema, from_table, rows_to_steps, to_table
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.training.config import TrainConfig
from hilserl.training.learner import LearnerFacts, finite

PROTOCOL = 1
MAX_ROWS = 256
"""Steps in one message."""
MAX_MESSAGE_BYTES = 256 * 1024
"""Of everything that is neither steps nor weights."""
EPISODES_PER_ACTOR = 1_000_000
"""Actor n numbers its episodes from n times this, so that no two actors' episodes are confused."""
_COMPRESSION = "lz4"
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_CHECKSUM_BYTES = 4
_T = TypeVar("_T")

Count = Annotated[int, Meta(ge=0, le=2**62)]
Name = Annotated[str, Meta(max_length=200)]
Stream = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
"""What an actor's steps are kept apart from other actors' by, drawn at random when its folder is made."""


class ProtocolError(HilserlError):
    """The other side will not have this, however often it is tried."""


class UnreachableError(HilserlError):
    """The other side does not answer, or cannot serve now; it may later."""


@dataclass(frozen=True)
class Hello:
    """What an actor says first, and again after every broken connection."""

    stream: Stream
    name: Name
    """For people: where the actor runs."""
    experience: Annotated[str, Meta(max_length=MAX_MESSAGE_BYTES // 2)]
    """`ExperienceSpec.to_json`: task, observation and action layout."""
    encoder: Annotated[str, Meta(max_length=2000)]
    """`encoder_of` its settings."""
    run: Name = ""
    """The run that the stream belongs to; empty before the first welcome."""
    process: Name = ""
    """Drawn at random by each process, so that two of them with copies of one folder are told apart."""
    protocol: int = PROTOCOL
    version: Name = __version__


@dataclass(frozen=True)
class Welcome:
    """A learner's answer to a hello."""

    run: Name
    number: Count
    """Of the actor, from 0."""
    session: Count
    """Puts of an earlier session are refused from now on."""
    stored: Count
    """Sequence number of the last entry that is durably stored; the first one is 1."""
    next_episode: Count
    """Lower numbers have been used."""
    outcomes: tuple[tuple[bool, bool], ...] = ()
    """Of the stream's newest episodes: success, and whether the operator acted."""


@dataclass(frozen=True)
class PutHeader:
    """What every put begins with."""

    stream: Stream
    session: Count


@dataclass(frozen=True)
class EntryHeader:
    """What accompanies every message of a put: the number of its first step, or of the discard it is."""

    first: Annotated[int, Meta(ge=1, le=2**62)]
    discard: Count | None = None
    """The episode that is to be forgotten; the message then has no steps."""
    more: bool = False
    """Another message follows at once; one acknowledgement will do for both."""


@dataclass(frozen=True)
class Stored:
    """A learner's acknowledgement: everything up to this number is on its disk."""

    upto: Count


@dataclass(frozen=True)
class ActorReport:
    """An actor's sign of life: its counters, and where its time goes."""

    stream: Stream
    numbers: Annotated[dict[Name, float], Meta(max_length=200)] = field(default_factory=dict)
    leaving: bool = False
    """The last one: the actor ends."""
    name: Name = ""
    """As in the hello."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", finite(self.numbers))


@dataclass(frozen=True)
class LearnerStatus:
    """A learner's answer to a report."""

    facts: LearnerFacts
    actors: int = 0
    """How many there are now."""
    stop: Name = ""
    """Why the run has ended, if it has."""


@dataclass(frozen=True)
class Description:
    """What a learner says to anybody who may ask."""

    run: Name
    task: Name
    config: str
    """The run's settings, as in `config.json`."""
    facts: LearnerFacts
    actors: int
    """How many have been heard of lately."""
    protocol: int = PROTOCOL
    version: Name = __version__


@dataclass(frozen=True)
class WeightsWanted:
    """A request for weights that are newer than some, or of another life of the learner's."""

    life: Count
    newer_than: Annotated[int, Meta(ge=-1)]
    within_s: Annotated[float, Meta(ge=0, le=10)]


def encoder_of(config: TrainConfig) -> str:
    """What turns images into what the networks see, in words."""
    return str(config.agent.vision) if config.env.obs == "pixels" else "none"


def encode(message: Any) -> bytes:
    """A message as JSON."""
    return msgspec.json.encode(message)


def decode(data: bytes | memoryview, kind: type[_T]) -> _T:
    """A message of a kind. Raises RefusedError for anything else, and for what is too long."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"A {kind.__name__} of {len(data)} bytes; at most {MAX_MESSAGE_BYTES} are read.")
    try:
        return msgspec.json.decode(data, type=kind)
    except _NOT_JSON as error:
        raise ProtocolError(f"Not a {kind.__name__}: {error}") from error


def pack(batch: pa.RecordBatch) -> bytes:
    """Steps as one compressed Arrow stream, behind its checksum."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=_COMPRESSION)) as writer:
        writer.write_batch(batch)
    packed = memoryview(sink.getvalue())
    return b"".join([zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES), packed])


def unpack(payload: bytes, spec: ExperienceSpec) -> list[Step]:
    """What `pack` packed. Raises HilserlError where it is damaged or of another spec."""
    packed = memoryview(payload)[_CHECKSUM_BYTES:]
    if zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES) != payload[:_CHECKSUM_BYTES]:
        raise HilserlError("Damaged steps: their checksum is another one.")
    try:
        steps, found = from_table(pa.ipc.open_stream(packed).read_all())
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise HilserlError(f"Damaged steps: {error}") from error
    if found != spec:
        raise HilserlError(f"Steps of task {found.task!r}, not {spec.task!r}, or of another layout.")
    return steps


def batch_of(steps: Sequence[Step], spec: ExperienceSpec) -> pa.RecordBatch:
    """Steps as they travel."""
    return to_table(steps, spec).to_batches()[0]


def empty_batch(spec: ExperienceSpec) -> pa.RecordBatch:
    """No steps, as they travel."""
    return pa.RecordBatch.from_pylist([], arrow_schema(spec))


def check_schema(found: pa.Schema, spec: ExperienceSpec) -> None:
    """Raises RefusedError, showing both, unless steps that travel under a schema are of the spec."""
    expected = arrow_schema(spec)
    if not found.equals(expected, check_metadata=True):
        ours, theirs = (
            "; ".join(f"{f.name}: {f.type}" for f in schema if f not in other) or "the same columns"
            for schema, other in ((expected, found), (found, expected))
        )
        described = (found.metadata or {}).get(METADATA_KEY, b"{}")
        spoken = _shown(_specs(spec.to_json(), described.decode(errors="replace")))
        raise ProtocolError(
            f"Other steps were expected. Expected: {ours}. Sent: {theirs}. They are described: {spoken}."
        )


def check_rows(batch: pa.RecordBatch) -> None:
    """Raises RefusedError for more steps than one message may have."""
    if batch.num_rows > MAX_ROWS:
        raise ProtocolError(f"{batch.num_rows} steps in one message; at most {MAX_ROWS} are taken.")


def steps_in(batch: pa.RecordBatch, spec: ExperienceSpec) -> list[Step]:
    """The steps of a batch that has passed `check_schema`. Raises RefusedError for what no step can be."""
    try:
        batch.validate(full=True)
        _check_whole(batch)
        steps = rows_to_steps(batch, spec)
    except (pa.ArrowException, HilserlError, TypeError, ValueError) as error:
        raise ProtocolError(f"Steps that cannot be read: {error}") from error
    check_numbers(batch)
    return steps


def _check_whole(batch: pa.RecordBatch) -> None:
    """Raises RefusedError where a value is missing; the schema says that none is, the transport does not look."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        storage = column.storage if isinstance(column, pa.ExtensionArray) else column
        inner = storage.values.null_count if pa.types.is_fixed_size_list(storage.type) else 0
        if storage.null_count or inner:
            raise ProtocolError(f"{name} has a missing value.")


def check_numbers(batch: pa.RecordBatch) -> None:
    """Raises RefusedError for steps with numbers that no step can have."""
    for name in ("action", "observation.state", "reward", "human_seconds"):
        column = batch.column(name)
        flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
        values = flat.to_numpy(zero_copy_only=False)
        if not np.isfinite(values).all():
            raise ProtocolError(f"{name} holds {values[~np.isfinite(values)][0]}; every number must be finite.")
        if name == "action" and np.abs(values).max(initial=0) > 1:
            raise ProtocolError(f"An action of {values[np.abs(values).argmax()]}; actions lie in [-1, 1].")


def by_episode(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Steps in order, those of each episode together."""
    for _, group in groupby(steps, lambda step: step.episode):
        yield list(group)


def differences(ours: Hello, theirs: Hello) -> str:
    """What keeps two sides from working together, both shown; empty where nothing does."""
    pairs: dict[str, tuple[Any, Any]] = {
        name: (getattr(ours, name), getattr(theirs, name)) for name in ("protocol", "version", "encoder")
    }
    return _shown(pairs | _specs(ours.experience, theirs.experience))


def _specs(here: str, there: str) -> dict[str, tuple[Any, Any]]:
    """Two `ExperienceSpec.to_json` side by side."""
    try:
        sides = [msgspec.json.decode(side, type=dict[str, Any]) for side in (here, there)]
    except _NOT_JSON as error:
        raise ProtocolError(f"The actor's description of its experience cannot be read: {error}") from error
    return {name: (sides[0].get(name), sides[1].get(name)) for name in sorted(sides[0].keys() | sides[1].keys())}


def _shown(pairs: dict[str, tuple[Any, Any]]) -> str:
    return "; ".join(f"{name}: here {a!r}, there {b!r}" for name, (a, b) in pairs.items() if a != b)
