"""Messages between actor and learner.

Messages are JSON; steps are Arrow. Nothing else is understood, and everything has a largest size.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from hilserl import __version__
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec, StepCodecError, shown_differences, spec_differences
from hilserl.errors import HilserlError
from hilserl.training.config import TrainConfig
from hilserl.training.learner import LearnerFacts, finite

PROTOCOL = 4
SERVICE = "hilserl.Learner"
"""Name of the gRPC service."""
METHODS = ("hello", "report", "describe", "weights", "put")
"""Calls of the service, each with one message and one answer."""
MAX_ROWS = 256
"""Largest number of steps in one message."""
MAX_MESSAGE_BYTES = 256 * 1024
"""Largest size of a message that holds neither steps nor weights."""
TOGETHER_BYTES = 2_000_000
"""Bytes that share an acknowledgement: few enough for a slow network."""
MAX_EPISODE_STEPS = 100_000
EPISODES_PER_ACTOR = 1_000_000
"""Episode numbers of each actor: actor n begins at n times this."""
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_COUNT_BYTES = 4
_ENTRY = np.dtype([("number", "<i8"), ("episode", "<i8"), ("bytes", "<i8")])
_DISCARD = -1
"""Size of an entry without a payload."""
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
        episode, position, is_open, next_episode = self.episode, self.position, self.open, self.next_episode
        for step in steps:
            in_order = is_open and (step.episode, step.index) == (episode, position + 1)
            begins = step.is_reset and next_episode <= step.episode < (self.number + 1) * EPISODES_PER_ACTOR
            if not (in_order or begins) or step.index > MAX_EPISODE_STEPS:
                raise ProtocolError(
                    f"Step {step.index} of episode {step.episode} came after step {position} of episode "
                    f"{episode}{'' if is_open else ', which has ended'}."
                )
            episode, position, is_open, next_episode = step.episode, step.index, not step.ends_episode, step.episode + 1
        stored = self.stored + len(steps)
        return replace(self, stored=stored, episode=episode, position=position, open=is_open)


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
    """The head of a put."""

    stream: Stream
    session: Count
    layout: Annotated[bytes, Meta(max_length=MAX_MESSAGE_BYTES // 2)] = b""
    """`StepCodec.layout` of the steps."""
    after: Count = 0
    """Last number of the put still on its way; 0 without one."""


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


def pack_put(header: PutHeader, entries: Sequence[LogEntry]) -> bytes:
    """Build the message of a put; the payloads travel unchanged."""
    head = encode(header)
    return len(head).to_bytes(_COUNT_BYTES, "little") + head + pack_entries(entries)


def unpack_put(message: bytes) -> tuple[PutHeader, memoryview]:
    """Read the header of a put.

    Returns:
        The header, and the rest of the message, for `unpack_entries`.

    Raises:
        ProtocolError: The message has no header.
    """
    view = memoryview(message)
    end = _COUNT_BYTES + int.from_bytes(view[:_COUNT_BYTES], "little")
    if end > len(view):
        raise ProtocolError(f"A put of {len(view)} bytes has no header.")
    return decode(view[_COUNT_BYTES:end], PutHeader), view[end:]


def pack_entries(entries: Sequence[LogEntry]) -> bytes:
    """Pack entries; the payloads travel unchanged.

    They become their number, uint32; a row of `_ENTRY` for each; and all payloads, one after the other.
    """
    rows = [(e.number, e.episode, _DISCARD if e.payload is None else len(e.payload)) for e in entries]
    payloads = [entry.payload for entry in entries if entry.payload is not None]
    return b"".join([len(rows).to_bytes(_COUNT_BYTES, "little"), np.array(rows, _ENTRY).tobytes(), *payloads])


def unpack_entries(message: bytes | memoryview) -> list[LogEntry]:
    """Read packed entries; payloads are views of them.

    Raises:
        ProtocolError: The message has no or too many entries, or a value that no entry has.
    """
    count = int.from_bytes(message[:_COUNT_BYTES], "little")
    start = _COUNT_BYTES + count * _ENTRY.itemsize
    if not 1 <= count <= MAX_ROWS:
        raise ProtocolError(f"{count} steps came in one message; 1 to {MAX_ROWS} are taken.")
    if start > len(message):
        raise ProtocolError(f"A message of {count} steps has {len(message)} bytes; expected at least {start}.")
    rows, view = np.frombuffer(message, _ENTRY, count, _COUNT_BYTES), memoryview(message)
    sizes = np.where(rows["bytes"] == _DISCARD, 0, rows["bytes"])
    if (sizes < 0).any() or (sizes > len(message)).any() or start + sizes.sum() != len(message):
        raise ProtocolError(f"A message of {len(message)} bytes does not have the sizes that it tells.")
    ends = (start + np.cumsum(sizes)).tolist()
    entries = []
    for (number, episode, size), end in zip(rows.tolist(), ends, strict=True):
        if not (1 <= number <= MAX_COUNT and 0 <= episode <= MAX_COUNT):
            raise ProtocolError(f"Invalid entry {number} of episode {episode}.")
        entries.append(LogEntry(number, episode, None if size == _DISCARD else view[end - size : end]))
    return entries


def codec_of(layout: bytes, codecs: Sequence[StepCodec]) -> StepCodec:
    """Return the codec of the steps in a put.

    Args:
        layout: Layout of the steps, from the put's header.
        codecs: Codecs that the learner can use, the one with encoded images first.

    Raises:
        StepCodecError: The steps have another layout; both sides are shown.
    """
    for codec in codecs:
        if codec.layout == layout:
            return codec
    codecs[0].check_layout(layout)
    raise ProtocolError("The layout of the steps is not known.")


def differences(ours: Hello, theirs: Hello) -> str:
    """Show both sides of what keeps them apart; empty if they fit."""
    pairs: dict[str, tuple[Any, Any]] = {
        name: (getattr(ours, name), getattr(theirs, name)) for name in ("protocol", "version", "encoder")
    }
    try:
        return shown_differences(pairs | spec_differences(ours.experience, theirs.experience))
    except StepCodecError as error:
        raise ProtocolError(f"The actor's hello cannot be read: {error}") from error
