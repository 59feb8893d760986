"""Calls to a toy learner, proper and improper ones."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import grpc
import numpy as np

from hilserl.address import Address
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.learner_client import LearnerClient
from hilserl.distributed.protocol import SERVICE, ActorReport, LogEntry, PutHeader
from hilserl.distributed.remote_learner import RemoteLearner
from tests.support.loopback import ToyLearner, hello_of, toy_episode

A, B, C = ("a" * 32, "b" * 32, "c" * 32)
LONG_S = 30.0
"""Longer than anything here takes on a machine that is not stuck."""


@contextlib.contextmanager
def calling(
    learner: ToyLearner | Address, credentials: Credentials | None = None, deadline_s: float = LONG_S
) -> Iterator[LearnerClient]:
    """Open a client of a learner."""
    address = learner if isinstance(learner, Address) else learner.address
    with contextlib.closing(LearnerClient(address, credentials or Credentials(), deadline_s)) as line:
        yield line


class RawCaller:
    """A caller that keeps no rules: it sends bytes to any call, and raises the transport's errors."""

    def __init__(self, learner: ToyLearner, compression: grpc.Compression | None = None) -> None:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(str(learner.address), options, compression=compression)

    def ask(self, name: str, body: bytes, metadata: Sequence[tuple[str, str | bytes]] = ()) -> bytes:
        """Call a method with one message and one answer."""
        return self.channel.unary_unary(f"/{SERVICE}/{name}")(body, timeout=LONG_S, metadata=tuple(metadata))

    def begin(self, name: str, messages: Iterable[bytes], timeout_s: float | None = LONG_S) -> Any:
        """Begin a call whose message may never come; a call that is not kept is cancelled."""
        return self.channel.stream_stream(f"/{SERVICE}/{name}")(iter(messages), timeout=timeout_s)


@contextlib.contextmanager
def raw(learner: ToyLearner, compression: grpc.Compression | None = None) -> Iterator[RawCaller]:
    """Open a caller that keeps no rules."""
    caller = RawCaller(learner, compression)
    with caller.channel:
        yield caller


def entries_of(codec: StepCodec, first: int, steps: Sequence[Step]) -> list[LogEntry]:
    """Encode steps as entries with consecutive numbers."""
    return [LogEntry(first + n, step.episode, codec.encode(step)) for n, step in enumerate(steps)]


def put(
    line: LearnerClient, session: int, first: int, steps: Sequence[Step], learner: ToyLearner, stream: str = A
) -> list[int]:
    """Put steps as one message; return the acknowledged numbers."""
    codec = learner.codecs[0]
    return list(line.put(PutHeader(stream, session, codec.layout), [entries_of(codec, first, steps)]))


def all_calls(line: LearnerClient, learner: ToyLearner) -> dict[str, Callable[[], object]]:
    """Return one call of each kind, by name."""
    return {
        "describe": line.describe,
        "hello": lambda: line.hello(hello_of(learner.spec, A)),
        "report": lambda: line.report(ActorReport(A)),
        "weights": lambda: line.weights(0, -1, 0.1),
        "put": lambda: put(line, 1, 1, toy_episode(0), learner),
    }


def publishing(learner: ToyLearner, versions: int, every_s: float) -> threading.Thread:
    """Start a thread that publishes weights; their numbers tell the version."""

    def publish() -> None:
        for version in range(1, versions + 1):
            learner.published = (version, {name: np.full(1000, version) for name in "ab"})
            time.sleep(every_s)

    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    return thread


def send(link: RemoteLearner, steps: Sequence[Step]) -> float:
    """Send steps; return the longest time that one took, in seconds."""
    longest = 0.0
    for step in steps:
        began = time.monotonic()
        link.send(step)
        longest = max(longest, time.monotonic() - began)
    return longest


def gone(_: str) -> bool:
    """Give up at once instead of waiting for a learner."""
    return False
