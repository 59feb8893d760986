"""A server listens only where it may; junk, silence and lies of one caller disturb no other."""

import contextlib
import dataclasses
import re
import resource
import socket
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
import pytest

from hilserl.address import Address
from hilserl.data.arrow import to_table
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.learner_client import LearnerClient
from hilserl.distributed.learner_server import MAX_CALLS, LearnerServer
from hilserl.distributed.protocol import (
    EPISODES_PER_ACTOR,
    MAX_MESSAGE_BYTES,
    MAX_ROWS,
    LogEntry,
    ProtocolError,
    PutHeader,
    UnreachableError,
    encode,
    pack_entries,
    pack_put,
)
from hilserl.errors import HilserlError
from hilserl.interrupt import CONNECTION_CLOSER
from tests.support.calls import LONG_S, A, C, calling, entries_of, put, raw
from tests.support.loopback import ToyLearner, free_port, hello_of, keys, until
from tests.support.loopback import toy_episode as episode
from tests.support.steps import make_episode

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.255.255.1", "learner.example"])
@pytest.mark.parametrize("name", ["nothing", "token", "certificate"])
def test_server_outside_loopback_needs_credentials(
    learner: ToyLearner, secrets: dict[str, Credentials], host: str, name: str
) -> None:
    right = secrets["right"]
    credentials = {
        "nothing": Credentials(),
        "token": Credentials(right.token),
        "certificate": Credentials(None, right.certificate, right.key),
    }[name]
    with pytest.raises(HilserlError, match="hilserl credentials"):
        LearnerServer(learner.exchange, Address(host, free_port()), credentials)


def test_server_listens_outside_loopback_with_credentials(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials]
) -> None:
    with ToyLearner(tmp_path, state_spec) as learner:
        service = LearnerServer(learner.exchange, Address("0.0.0.0", 0), secrets["right"])
        try:
            with calling(
                Address("127.0.0.1", service.port), Credentials(secrets["right"].token, secrets["right"].certificate)
            ) as line:
                line.describe()
        finally:
            service.shutdown()


def test_taken_port_is_refused_by_name_and_its_server_goes_on(learner: ToyLearner) -> None:
    with pytest.raises(HilserlError, match=f"Cannot listen on 127.0.0.1:{learner.port}"):
        LearnerServer(learner.exchange, learner.address, Credentials())
    with calling(learner) as line:
        line.describe()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HilserlError, match=f"Cannot listen on 127.0.0.1:{port}"):
            LearnerServer(learner.exchange, Address("127.0.0.1", port), Credentials())


def test_foreign_host_is_refused_by_name(learner: ToyLearner, secrets: dict[str, Credentials]) -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(HilserlError, match=f"Cannot listen on {host}"):
            LearnerServer(learner.exchange, Address(host, 1), secrets["right"])


def test_junk_certificate_is_refused(learner: ToyLearner) -> None:
    junk = Credentials("token", b"junk", b"junk")
    with pytest.raises(HilserlError, match="Cannot listen on"):
        LearnerServer(learner.exchange, Address("127.0.0.1", 0), junk)


def test_junk_on_the_port_disturbs_no_other_caller(learner: ToyLearner) -> None:
    """Five bytes of it ended agentlace's server for good."""
    rng = np.random.default_rng(0)
    junk = [
        b"hello",
        b"\x80\x04\x95\x05\0",
        PREFACE[:11],
        PREFACE,
        PREFACE + b"\0\0\0\4\0\0\0\0\0" + rng.bytes(400),
        PREFACE + b"\xff" * 400,
        b"GET / HTTP/1.1\r\nHost: learner\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.bytes(200),
        bytes(1_000_000),
        rng.bytes(100_000),
    ]
    with calling(learner) as line, contextlib.ExitStack() as open_sockets:
        line.hello(hello_of(learner.spec, A))
        for number, sent in enumerate(junk):
            caller = open_sockets.enter_context(socket.create_connection(learner.address, timeout=LONG_S))
            with contextlib.suppress(OSError):
                caller.sendall(sent)
            if number % 2:
                caller.close()
            assert put(line, 1, 4 * number + 1, episode(number), learner) == [4 * number + 4]
        with calling(learner) as another:
            another.describe()
    assert learner.kept == keys([episode(n) for n in range(len(junk))])


def test_silent_callers_keep_no_other_caller_out(learner: ToyLearner) -> None:
    """Three callers filled LeRobot's service; here fifty connect, and thirty of them begin a put and fall silent."""
    with contextlib.ExitStack() as silent:
        silent.enter_context(nothing := Waiting())
        for _ in range(20):
            silent.enter_context(socket.create_connection(learner.address, timeout=LONG_S))
        kept = [silent.enter_context(raw(learner)).begin("put", nothing.requests()) for _ in range(30)]
        with calling(learner) as line:
            line.hello(hello_of(learner.spec, A))
            assert put(line, 1, 1, episode(0), learner) == [4]
            assert line.weights(0, -1, 1.0) is not None
            assert all(call.is_active() for call in kept)


def test_calls_beyond_the_largest_number_are_refused_for_now(learner: ToyLearner) -> None:
    """Thousands of calls at once took a thread each, and no actor was served."""
    with contextlib.ExitStack() as callers:
        callers.enter_context(stuck := Waiting())
        clients = [callers.enter_context(raw(learner)) for _ in range(MAX_CALLS // 12)]
        kept = [client.begin("put", stuck.requests()) for client in clients for _ in range(12)]
        # A call that comes before they are all served would take the place of one.
        until(lambda: serving_threads() == MAX_CALLS, "all calls to be served")
        with calling(learner) as line:
            until(lambda: refused_for_now(line), "a refusal")
            assert all(call.is_active() for call in kept)
        assert threading.active_count() < 3 * MAX_CALLS
    with calling(learner) as line:
        until(lambda: not refused_for_now(line), "an answer")


class Waiting:
    """Requests that do not come until the block ends."""

    def __init__(self) -> None:
        self._end = threading.Event()

    def requests(self) -> Iterator[bytes]:
        """Yield nothing, late."""
        self._end.wait(LONG_S)
        yield from ()

    def __enter__(self) -> "Waiting":
        return self

    def __exit__(self, *exception: object) -> None:
        self._end.set()


def serving_threads() -> int:
    return sum(thread.name.startswith(CONNECTION_CLOSER) for thread in threading.enumerate())


def refused_for_now(line: LearnerClient) -> bool:
    try:
        line.describe()
    except UnreachableError:
        return True
    return False


def memory_mb() -> float:
    """Return the largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


@pytest.mark.parametrize("bomb", ["plain", "gzip", "deflate"])
@pytest.mark.parametrize("name", ["hello", "put"])
def test_message_that_is_too_large_is_refused_before_it_is_unpacked(learner: ToyLearner, name: str, bomb: str) -> None:
    """41 KB that unpacked to 1.4 GB, and plain 600 MB, were read whole before they were refused."""
    body, before = bytes(100_000_000), memory_mb()
    compression = {"plain": None, "gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}[bomb]
    with raw(learner, compression) as caller, pytest.raises(grpc.RpcError) as refused:
        caller.ask(name, body)
    assert refused.value.code() in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNIMPLEMENTED)
    # The sender, in this process too, has copies of its own.
    assert memory_mb() - before < 350
    with calling(learner) as line:
        line.describe()


def test_step_of_an_actor_that_is_too_large_is_a_permanent_error(learner: ToyLearner) -> None:
    header = PutHeader(A, 1, learner.codecs[0].layout)
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        with pytest.raises(ProtocolError, match="larger than max"):
            list(line.put(header, [[LogEntry(1, 0, bytes(5_000_000))]]))


def test_junk_in_a_call_is_refused_and_counted(learner: ToyLearner) -> None:
    bodies = [b"", b"junk", b"\xff" * 50, b"{}", b"null", b"[" * 50_000, b" " * (MAX_MESSAGE_BYTES + 1)]
    deep = b'{"unknown": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    refused = 0
    with raw(learner) as caller:
        for refused, (name, body) in enumerate(
            [(name, body) for name in ("hello", "report") for body in [*bodies, deep]], start=1
        ):
            with refusal(r"Not a|bytes came; at most"):
                caller.ask(name, body)
            assert learner.exchange.refused == refused
        assert caller.ask("describe", b"whatever")
    assert not learner.log.cursors


def test_junk_in_a_request_for_weights_is_refused_and_counted(learner: ToyLearner) -> None:
    tickets = [b"", b"junk", b'{"newer_than": 0, "within_s": 11}', b'{"newer_than": -2, "within_s": 0}', b"[" * 9999]
    with raw(learner) as caller:
        for ticket in tickets:
            with refusal("Not a WeightsWanted"):
                caller.ask("weights", ticket)
    assert learner.exchange.refused == len(tickets)


@pytest.mark.parametrize("path", ["", "/", "/hilserl.Learner/", "/hilserl.Learner/shutdown", "/x/hello", "/" * 1000])
def test_unknown_calls_disturb_no_other_caller(learner: ToyLearner, path: str) -> None:
    with raw(learner) as caller:
        with pytest.raises(grpc.RpcError):
            caller.channel.unary_unary(path)(b"{}", timeout=LONG_S)
        assert caller.ask("describe", b"{}")


def test_bug_of_the_learner_is_told_without_its_traceback(
    learner: ToyLearner, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(learner.exchange, "describe", lambda: {}["secret path"])
    with calling(learner) as line, pytest.raises(ProtocolError, match="This is a bug in the learner") as told:
        line.describe()
    assert "secret path" not in str(told.value)
    assert "secret path" in caplog.text


@contextlib.contextmanager
def refusal(reason: str) -> Iterator[None]:
    """Expect a permanent error of the transport."""
    with pytest.raises(grpc.RpcError) as told:
        yield
    assert told.value.code() is grpc.StatusCode.INVALID_ARGUMENT, told.value.details()
    assert re.search(reason, told.value.details() or "")


def with_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    columns = [column if field.name == name else batch.column(field.name) for field in batch.schema]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def message_of(spec: ExperienceSpec, first: int, steps: Sequence[Step]) -> bytes:
    return pack_entries(entries_of(StepCodec(spec), first, steps))


def sealed(batch: pa.RecordBatch) -> bytes:
    """Seal a row as a codec does, but unchecked."""
    packed = pa.Codec("lz4_raw").compress(batch.serialize(), asbytes=True)
    return zlib.crc32(packed).to_bytes(4) + packed


def spoiled(spec: ExperienceSpec, first: int, name: str, column: pa.Array) -> bytes:
    """Make a message whose only step has another column."""
    row = with_column(to_table([episode(1)[0]], spec).to_batches()[0], name, column)
    return pack_entries([LogEntry(first, 1, sealed(row))])


def bad_puts(spec: ExperienceSpec) -> dict[str, tuple[bytes, bytes]]:
    """Return headers and entries that must be refused; the stream expects entry 5 of episode 1."""
    layout = StepCodec(spec).layout
    good, header = message_of(spec, 5, episode(1)), encode(PutHeader(A, 1, layout))
    other = dataclasses.replace(spec, task="other")
    camera = ExperienceSpec(spec.task, spec.state, spec.action, (("eye", (2, 3, 3)),))
    steps = [entry.payload for entry in entries_of(StepCodec(spec), 5, episode(1))]
    nan = spoiled(spec, 5, "reward", pa.array([float("nan")], pa.float32()))
    huge = spoiled(spec, 5, "reward", pa.array([3e38], pa.float32()))
    missing = spoiled(spec, 5, "action", pa.array([None], pa.list_(pa.float32(), 2)))
    row = to_table(episode(1), spec).to_batches()[0]

    def entries(*entries: LogEntry) -> bytes:
        return pack_entries(entries)

    def sizes(*rows: tuple[int, int, int]) -> bytes:
        """Make a message with the numbers, episodes and sizes of a liar."""
        return len(rows).to_bytes(4, "little") + np.array(rows, np.dtype("<i8")).tobytes() + bytes(10)

    return {
        "nothing": (b"", b""),
        "junk header": (b"junk", good),
        "no header": (b"", good),
        "huge header": (b" " * (MAX_MESSAGE_BYTES + 1), good),
        "unknown stream": (encode(PutHeader(C, 1, layout)), good),
        "older session": (encode(PutHeader(A, 0, layout)), good),
        "later session": (encode(PutHeader(A, 2, layout)), good),
        "no layout": (encode(PutHeader(A, 1)), good),
        "junk layout": (encode(PutHeader(A, 1, b"junk")), good),
        "other task": (encode(PutHeader(A, 1, StepCodec(other).layout)), message_of(other, 5, episode(1))),
        "a camera more": (encode(PutHeader(A, 1, StepCodec(camera).layout)), message_of(camera, 5, make_episode(1, 2))),
        "an empty message": (header, b""),
        "a junk message": (header, b"\xff" * 99),
        "no entries": (header, bytes(4)),
        "a table that is cut": (header, good[:30]),
        "a step that is cut": (header, good[:-1]),
        "a step that is longer": (header, good + b"x"),
        "negative sizes": (header, sizes((5, 1, 30), (6, 1, -20))),
        "sizes that overflow": (header, sizes((5, 1, 2**62), (6, 1, 2**62), (7, 1, 2**62), (8, 1, 2**62 + 10))),
        "entry 0": (header, entries(LogEntry(0, 1, steps[0]))),
        "a negative episode": (header, entries(LogEntry(5, -1, steps[0]))),
        "a gap": (header, message_of(spec, 6, episode(1))),
        "an episode again": (header, message_of(spec, 5, episode(0))),
        "not in order": (header, message_of(spec, 5, episode(1)[::-1])),
        "another's episode": (header, message_of(spec, 5, episode(EPISODES_PER_ACTOR))),
        "another episode in the step": (header, entries(LogEntry(5, 2, steps[0]))),
        "too many": (header, message_of(spec, 5, episode(1, MAX_ROWS))),
        "NaN": (header, nan),
        "a reward of 3e38": (header, huge),
        "a missing action": (header, missing),
        "a damaged step": (header, entries(LogEntry(5, 1, steps[0][:-1] + bytes([steps[0][-1] ^ 1])))),
        "no step": (header, entries(LogEntry(5, 1, b""))),
        "several rows": (header, entries(LogEntry(5, 1, sealed(row)))),
        "no such discard": (header, entries(LogEntry(5, 1, None))),
        "good and NaN": (header, entries(LogEntry(5, 1, steps[0]), LogEntry(6, 1, nan[28:]))),
    }


TOY = ExperienceSpec(
    "toy",
    StateLayout((entry("position_m", 2), entry("gripper_command", 1))),
    ActionLayout(("dx", "gripper"), grippers=(1,)),
)


@pytest.mark.parametrize("name", bad_puts(TOY))
def test_bad_put_is_refused_and_counted_and_the_next_good_one_is_taken(learner: ToyLearner, name: str) -> None:
    with calling(learner) as line, raw(learner) as caller:
        line.hello(hello_of(learner.spec, A))
        assert put(line, 1, 1, episode(0), learner) == [4]
        header, entries = bad_puts(learner.spec)[name]
        with refusal(""):
            caller.ask("put", len(header).to_bytes(4, "little") + header + entries)
        assert learner.exchange.refused == 1
        assert learner.kept == keys([episode(0)])
        good = pack_put(PutHeader(A, 1, learner.codecs[0].layout), entries_of(learner.codecs[0], 5, episode(1)))
        assert caller.ask("put", good)
        assert put(line, 1, 9, episode(2), learner) == [12]
    assert learner.kept == keys([episode(n) for n in range(3)])
    assert learner.exchange.refused == 1


def test_refusal_among_many_messages_is_told(learner: ToyLearner) -> None:
    """However much more the actor wants to send: it learns why, and what came before is stored."""
    codec = learner.codecs[0]
    messages = [entries_of(codec, 1, episode(0, 100, ends=False))]
    messages += [entries_of(codec, 500, episode(1, 200))] * 200
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        with pytest.raises(ProtocolError, match="Entry 500 came, but 102 was expected"):
            list(line.put(PutHeader(A, 1, codec.layout), messages))
        assert line.hello(hello_of(learner.spec, A)).stored in (0, 101)


@pytest.mark.parametrize("caller", ["a silent one", "an open put", "a put with a deadline", "a fetch"])
def test_server_stops_while_callers_are_connected(learner: ToyLearner, caller: str) -> None:
    with contextlib.ExitStack() as callers:
        callers.enter_context(nothing := Waiting())
        if caller == "a silent one":
            callers.enter_context(socket.create_connection(learner.address, timeout=LONG_S))
        else:
            client = callers.enter_context(raw(learner))
            fetch = iter([b'{"life": 0, "newer_than": 5, "within_s": 1}'])
            name, requests = ("weights", fetch) if caller == "a fetch" else ("put", nothing.requests())
            begun = client.begin(name, requests, timeout_s=1.0 if caller == "a put with a deadline" else None)
            assert begun.is_active()
        with calling(learner) as line:
            line.describe()
        time.sleep(0.1)
        leaving = threading.Thread(target=learner.stop, daemon=True)
        leaving.start()
        leaving.join(6.0)
        left = not leaving.is_alive()
    leaving.join(LONG_S)
    assert left, "it waits until the caller hangs up"
