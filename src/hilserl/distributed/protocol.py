"""Messages between actor and learner.

Messages are JSON; steps and weights are Arrow. Nothing else is understood, and everything has a largest size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeVar

import msgspec
import pyarrow as pa
from msgspec import Meta

from hilserl import __version__
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec, StepCodecError, shown_differences, spec_differences
from hilserl.errors import HilserlError
from hilserl.training.config import TrainConfig
from hilserl.training.learner import LearnerFacts, finite

PROTOCOL = 2
MAX_ROWS = 256
"""Largest number of steps in one message."""
MAX_MESSAGE_BYTES = 256 * 1024
"""Largest size of a message that holds neither steps nor weights."""
MAX_EPISODE_STEPS = 100_000
EPISODES_PER_ACTOR = 1_000_000
"""Episode numbers of each actor: actor n begins at n times this."""
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_LAYOUT_KEY = b"hilserl.layout"
_PUT_SCHEMA = pa.schema(
    [
        pa.field("number", pa.int64(), nullable=False),
        pa.field("episode", pa.int64(), nullable=False),
        pa.field("payload", pa.large_binary()),
    ]
)
MAX_COUNT = 2**62
"""Largest number of an entry, an episode or a session."""
_T = TypeVar("_T")

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Name = Annotated[str, Meta(max_length=200)]
Stream = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}\Z")]
"""Random identity of an actor's steps, made with its directory."""


class ProtocolError(HilserlError):
    """A permanent error: the other side would refuse the same again."""


class TransientError(HilserlError):
    """An error that may be gone when the call is tried again."""


class UnreachableError(TransientError):
    """The other side does not answer, or cannot serve now."""


@dataclass(frozen=True)
class LogEntry:
    """An entry of an actor's stream: a step or a discard."""

    number: int
    """Place in the stream, from 1."""
    episode: int
    """Number of the episode."""
    payload: Any
    """Buffer with the encoded step; None to forget the episode."""


@dataclass(frozen=True)
class Cursor:
    """Position of a stream in a learner's log."""

    number: int
    """Number of the actor."""
    session: int = 0
    stored: int = 0
    """Number of the last stored entry."""
    episode: int = -1
    """Newest episode; -1 before the first."""
    position: int = -1
    """Index of its newest step."""
    open: bool = False
    """True if more steps of it may come."""

    @property
    def next_episode(self) -> int:
        """Lowest episode number that is still free."""
        return max(self.episode + 1, self.number * EPISODES_PER_ACTOR)

    def after(self, steps: Sequence[Step]) -> "Cursor":
        """Advance over steps.

        Raises:
            ProtocolError: The steps do not follow on what is stored.
        """
        cursor = self
        for step in steps:
            in_order = cursor.open and (step.episode, step.index) == (cursor.episode, cursor.position + 1)
            begins = step.is_reset and cursor.next_episode <= step.episode < (self.number + 1) * EPISODES_PER_ACTOR
            if not (in_order or begins) or step.index > MAX_EPISODE_STEPS:
                raise ProtocolError(
                    f"Step {step.index} of episode {step.episode} came after step {cursor.position} of episode "
                    f"{cursor.episode}{'' if cursor.open else ', which has ended'}."
                )
            cursor = replace(cursor, episode=step.episode, position=step.index, open=not step.ends_episode)
        return replace(cursor, stored=self.stored + len(steps))


@dataclass(frozen=True)
class Hello:
    """An actor's first message, repeated after every broken connection."""

    stream: Stream
    name: Name
    """Machine of the actor, for people."""
    experience: Annotated[str, Meta(max_length=MAX_MESSAGE_BYTES // 2)]
    """`ExperienceSpec.to_json`: task, observation and action layout."""
    encoder: Annotated[str, Meta(max_length=2000)]
    """Result of `encoder_of`."""
    run: Name = ""
    """Run that the stream belongs to; empty before the first welcome."""
    process: Name = ""
    """Random identity of the process.

    It tells two processes apart that have copies of one directory.
    """
    protocol: int = PROTOCOL
    version: Name = __version__


@dataclass(frozen=True)
class Welcome:
    """A learner's answer to a hello."""

    run: Name
    number: Count
    """Number of the actor, from 0."""
    session: Count
    """Session of the stream; puts of earlier ones are refused."""
    stored: Count
    """Number of the last stored entry; 0 before the first."""
    next_episode: Count
    """Lowest episode number that is free."""
    outcomes: tuple[tuple[bool, bool], ...] = ()
    """Success, and whether the operator acted, of the stream's newest episodes."""


@dataclass(frozen=True)
class PutHeader:
    """The header of a put."""

    stream: Stream
    session: Count


@dataclass(frozen=True)
class MessageHeader:
    """The header of each message of a put."""

    more: bool
    """True if the next message shares this one's acknowledgement."""


@dataclass(frozen=True)
class Stored:
    """A learner's acknowledgement."""

    upto: Count
    """Number of the last entry on the learner's disk."""


@dataclass(frozen=True)
class ActorReport:
    """An actor's sign of life, with its counters and times."""

    stream: Stream
    numbers: Annotated[dict[Name, float], Meta(max_length=200)] = field(default_factory=dict)
    leaving: bool = False
    """True in the last report: the actor ends."""
    name: Name = ""
    """Machine of the actor, as in its hello."""

    def __post_init__(self) -> None:
        """Drop the numbers that JSON cannot express."""
        object.__setattr__(self, "numbers", finite(self.numbers))


@dataclass(frozen=True)
class LearnerStatus:
    """A learner's answer to a report."""

    facts: LearnerFacts
    actors: int = 0
    """Number of live actors."""
    stop: Name = ""
    """Reason for which the run has ended; empty while it goes on."""


@dataclass(frozen=True)
class Description:
    """A learner's description of its run."""

    run: Name
    task: Name
    config: str
    """Settings of the run, as in `config.json`."""
    facts: LearnerFacts
    actors: int
    """Number of live actors."""
    protocol: int = PROTOCOL
    version: Name = __version__


@dataclass(frozen=True)
class WeightsWanted:
    """A request for weights newer than a version, or of another life."""

    life: Count
    newer_than: Annotated[int, Meta(ge=-1)]
    within_s: Annotated[float, Meta(ge=0, le=10)]


def encoder_of(config: TrainConfig) -> str:
    """Describe the image encoder of a configuration."""
    return str(config.agent.vision) if config.env.obs == "pixels" else "none"


def encode(message: Any) -> bytes:
    """Encode a message as JSON."""
    return msgspec.json.encode(message)


def decode(data: bytes | memoryview, kind: type[_T]) -> _T:
    """Decode a message of a kind. Raises ProtocolError for anything else."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise ProtocolError(f"A {kind.__name__} of {len(data)} bytes came; at most {MAX_MESSAGE_BYTES} are read.")
    try:
        return msgspec.json.decode(data, type=kind)
    except _NOT_JSON as error:
        raise ProtocolError(f"Not a {kind.__name__}: {error}") from error


def to_message(entries: Sequence[LogEntry], codec: StepCodec) -> pa.RecordBatch:
    """Build a message of a put; the payloads travel unchanged."""
    numbers, episodes = (
        pa.array([e.number for e in entries], pa.int64()),
        pa.array([e.episode for e in entries], pa.int64()),
    )
    payloads = pa.array([e.payload for e in entries], pa.large_binary())
    return pa.RecordBatch.from_arrays([numbers, episodes, payloads], schema=put_schema(codec))


def put_schema(codec: StepCodec) -> pa.Schema:
    """Return the schema of a put, with the layout of the steps."""
    return _PUT_SCHEMA.with_metadata({_LAYOUT_KEY: codec.layout})


def codec_of(schema: pa.Schema, codecs: Sequence[StepCodec]) -> StepCodec:
    """Return the codec of the steps in a put.

    Args:
        schema: Schema of the put's messages.
        codecs: Codecs that the learner can use, the one with encoded images first.

    Raises:
        HilserlError: The put has other columns, or steps of another layout; both sides are shown.
    """
    if not schema.equals(_PUT_SCHEMA):
        raise ProtocolError(f"Invalid columns of a put: expected {_columns(_PUT_SCHEMA)}, got {_columns(schema)}.")
    layout = (schema.metadata or {}).get(_LAYOUT_KEY, b"")
    for codec in codecs:
        if codec.layout == layout:
            return codec
    codecs[0].check_layout(layout)
    raise ProtocolError("The layout of the steps is not known.")


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name}: {field.type}" for field in schema) or "none"


def entries_in(batch: pa.RecordBatch) -> list[LogEntry]:
    """Read the entries of a put's message.

    Raises:
        ProtocolError: The message has too many entries, or a value that no entry has.
    """
    if batch.num_rows > MAX_ROWS:
        raise ProtocolError(f"{batch.num_rows} steps came in one message; at most {MAX_ROWS} are taken.")
    try:
        batch.validate(full=True)
    except pa.ArrowException as error:
        raise ProtocolError(f"The message cannot be read: {error}") from error
    if not batch.num_rows:
        raise ProtocolError("A message has no entries.")
    numbers, episodes, payloads = batch.columns
    if numbers.null_count or episodes.null_count:
        raise ProtocolError("An entry has a missing number.")
    entries = [
        LogEntry(number, episode, payload.as_buffer())
        for number, episode, payload in zip(numbers.to_pylist(), episodes.to_pylist(), payloads, strict=True)
    ]
    for entry in entries:
        if not (1 <= entry.number <= MAX_COUNT and 0 <= entry.episode <= MAX_COUNT):
            raise ProtocolError(f"Invalid entry {entry.number} of episode {entry.episode}.")
    return entries


def differences(ours: Hello, theirs: Hello) -> str:
    """Show both sides of what keeps them apart; empty if they fit."""
    pairs: dict[str, tuple[Any, Any]] = {
        name: (getattr(ours, name), getattr(theirs, name)) for name in ("protocol", "version", "encoder")
    }
    try:
        return shown_differences(pairs | spec_differences(ours.experience, theirs.experience))
    except StepCodecError as error:
        raise ProtocolError(f"The actor's hello cannot be read: {error}") from error
