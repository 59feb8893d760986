"""A server listens only where it may; junk, silence and lies of one caller disturb no other."""

import contextlib
import dataclasses
import socket
import threading
import time
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import flight

from hilserl.address import Address
from hilserl.data.arrow import to_table
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.credentials import Credentials
from hilserl.distributed.flight_server import LearnerServer
from hilserl.distributed.protocol import (
    EPISODES_PER_ACTOR,
    MAX_MESSAGE_BYTES,
    MAX_ROWS,
    LogEntry,
    MessageHeader,
    ProtocolError,
    PutHeader,
    encode,
    put_schema,
    to_message,
)
from hilserl.errors import HilserlError
from tests.support.calls import (
    LONG_S,
    A,
    B,
    C,
    calling,
    end_quietly,
    entries_of,
    fetch_quietly,
    put,
    raw,
    raw_put,
)
from tests.support.loopback import ToyLearner, free_port, hello_of, keys
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
        for _ in range(20):
            silent.enter_context(socket.create_connection(learner.address, timeout=LONG_S))
        for _ in range(30):
            client = silent.enter_context(raw(learner))
            descriptor = flight.FlightDescriptor.for_command(encode(PutHeader(B, 1)))
            writer, _ = client.do_put(
                descriptor, put_schema(learner.codecs[0]), flight.FlightCallOptions(timeout=LONG_S)
            )
            silent.callback(end_quietly, writer)
        with calling(learner) as line:
            line.hello(hello_of(learner.spec, A))
            assert put(line, 1, 1, episode(0), learner) == [4]
            assert line.weights(0, -1, 1.0) is not None


def test_junk_in_an_action_is_refused_and_counted(learner: ToyLearner) -> None:
    bodies = [b"", b"junk", b"\xff" * 50, b"{}", b"null", b"[" * 50_000, b" " * (MAX_MESSAGE_BYTES + 1)]
    deep = b'{"unknown": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    refused = 0
    with raw(learner) as client:
        for refused, (action, body) in enumerate(
            [(action, body) for action in ("hello", "report") for body in [*bodies, deep]], start=1
        ):
            with pytest.raises(pa.ArrowInvalid, match=r"Not a|bytes came; at most"):
                list(client.do_action((action, body)))
            assert learner.exchange.refused == refused
        for action in ("", "Hello", "shutdown", "hello2", "x" * 100_000, "../describe"):
            with pytest.raises(pa.ArrowInvalid, match="there is: hello, report, describe"):
                list(client.do_action((action, b"{}")))
        assert len(list(client.do_action(("describe", b"whatever")))) == 1
    assert learner.exchange.refused == refused + 6
    assert not learner.log.cursors


def test_junk_in_a_request_for_weights_is_refused_and_counted(learner: ToyLearner) -> None:
    tickets = [b"", b"junk", b'{"newer_than": 0, "within_s": 11}', b'{"newer_than": -2, "within_s": 0}', b"[" * 9999]
    with raw(learner) as client:
        for ticket in tickets:
            with pytest.raises(pa.ArrowInvalid, match="Not a WeightsWanted"):
                client.do_get(flight.Ticket(ticket)).read_all()
    assert learner.exchange.refused == len(tickets)


def test_unknown_calls_disturb_no_other_caller(learner: ToyLearner) -> None:
    descriptor = flight.FlightDescriptor.for_path("x")
    with raw(learner) as client:
        for call in (
            lambda: list(client.list_flights()),
            lambda: list(client.list_actions()),
            lambda: client.get_flight_info(descriptor),
            lambda: client.get_schema(descriptor),
            lambda: client.do_exchange(descriptor)[1].read_all(),
            lambda: client.authenticate_basic_token("name", "password"),
        ):
            with contextlib.suppress(pa.ArrowException, NotImplementedError):
                call()
        assert len(list(client.do_action(("describe", b"{}")))) == 1


def with_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    columns = [column if field.name == name else batch.column(field.name) for field in batch.schema]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def message_of(spec: ExperienceSpec, first: int, steps: Sequence[Step]) -> pa.RecordBatch:
    codec = StepCodec(spec)
    return to_message(entries_of(codec, first, steps), codec)


def sealed(batch: pa.RecordBatch) -> bytes:
    """Seal a row as a codec does, but unchecked."""
    packed = pa.Codec("lz4_raw").compress(batch.serialize(), asbytes=True)
    return zlib.crc32(packed).to_bytes(4) + packed


def spoiled(spec: ExperienceSpec, first: int, name: str, column: pa.Array) -> pa.RecordBatch:
    """Make a message whose only step has another column."""
    row = with_column(to_table([episode(1)[0]], spec).to_batches()[0], name, column)
    return to_message([LogEntry(first, 1, sealed(row))], StepCodec(spec))


Message = tuple[pa.RecordBatch | None, bytes | None]


def bad_puts(spec: ExperienceSpec) -> dict[str, tuple[flight.FlightDescriptor, pa.Schema, list[Message]]]:
    """Return puts that must be refused; the stream expects entry 5 of episode 1."""
    good, header = message_of(spec, 5, episode(1)), flight.FlightDescriptor.for_command(encode(PutHeader(A, 1)))
    schema, last, more = good.schema, encode(MessageHeader(more=False)), encode(MessageHeader(more=True))
    other = message_of(dataclasses.replace(spec, task="other"), 5, episode(1))
    camera = ExperienceSpec(spec.task, spec.state, spec.action, (("eye", (2, 3, 3)),))
    seen = message_of(camera, 5, make_episode(1, 2))
    plain = pa.record_batch({"a": [1, 2]})
    steps = [entry.payload for entry in entries_of(StepCodec(spec), 5, episode(1))]
    nan = spoiled(spec, 5, "reward", pa.array([float("nan")], pa.float32()))
    missing = spoiled(spec, 5, "action", pa.array([None], pa.list_(pa.float32(), 2)))
    row = to_table(episode(1), spec).to_batches()[0]
    unnumbered = with_column(good, "episode", pa.array([1, 1, None, 1], pa.int64()))
    command = flight.FlightDescriptor.for_command

    def entries(*entries: LogEntry) -> list[Message]:
        return [(to_message(entries, StepCodec(spec)), last)]

    return {
        "junk header": (command(b"junk"), schema, [(good, last)]),
        "no header": (command(b""), schema, [(good, last)]),
        "a path": (flight.FlightDescriptor.for_path("a", "b"), schema, [(good, last)]),
        "huge header": (command(b" " * (MAX_MESSAGE_BYTES + 1)), schema, [(good, last)]),
        "unknown stream": (command(encode(PutHeader(C, 1))), schema, [(good, last)]),
        "older session": (command(encode(PutHeader(A, 0))), schema, [(good, last)]),
        "later session": (command(encode(PutHeader(A, 2))), schema, [(good, last)]),
        "other columns": (header, plain.schema, [(plain, last)]),
        "other task": (header, other.schema, [(other, last)]),
        "a camera more": (header, seen.schema, [(seen, last)]),
        "no layout": (header, schema.remove_metadata(), [(good.replace_schema_metadata(None), last)]),
        "no columns": (header, pa.schema([]), []),
        "no metadata": (header, schema, [(good, None)]),
        "empty metadata": (header, schema, [(good, b"")]),
        "junk metadata": (header, schema, [(good, b"\xff" * 9)]),
        "huge metadata": (header, schema, [(good, b" " * (MAX_MESSAGE_BYTES + 1))]),
        "deep metadata": (header, schema, [(good, b'{"x": ' + b"[" * 50_000 + b"]" * 50_000 + b', "more": 5}')]),
        "entry 0": (header, schema, entries(LogEntry(0, 1, steps[0]))),
        "only metadata": (header, schema, [(None, last)]),
        "no entries": (header, schema, [(good.slice(0, 0), last)]),
        "a gap": (header, schema, [(message_of(spec, 6, episode(1)), last)]),
        "an episode again": (header, schema, [(message_of(spec, 5, episode(0)), last)]),
        "not in order": (header, schema, [(message_of(spec, 5, episode(1)[::-1]), last)]),
        "another's episode": (header, schema, [(message_of(spec, 5, episode(EPISODES_PER_ACTOR)), last)]),
        "another episode in the step": (header, schema, entries(LogEntry(5, 2, steps[0]))),
        "too many": (header, schema, [(message_of(spec, 5, episode(1, MAX_ROWS)), last)]),
        "NaN": (header, schema, [(nan, last)]),
        "a missing action": (header, schema, [(missing, last)]),
        "a missing number": (header, schema, [(unnumbered, last)]),
        "a damaged step": (header, schema, entries(LogEntry(5, 1, steps[0][:-1] + bytes([steps[0][-1] ^ 1])))),
        "no step": (header, schema, entries(LogEntry(5, 1, b""))),
        "several rows": (header, schema, entries(LogEntry(5, 1, sealed(row)))),
        "no such discard": (header, schema, entries(LogEntry(5, 1, None))),
        "good, then NaN": (header, schema, [(message_of(spec, 5, episode(1)[:1]), more), (nan, last)]),
    }


TOY = ExperienceSpec(
    "toy",
    StateLayout((entry("position_m", 2), entry("gripper_command", 1))),
    ActionLayout(("dx", "gripper"), grippers=(1,)),
)


@pytest.mark.parametrize("name", bad_puts(TOY))
def test_bad_put_is_refused_and_counted_and_the_next_good_one_is_taken(learner: ToyLearner, name: str) -> None:
    with calling(learner) as line, raw(learner) as client:
        line.hello(hello_of(learner.spec, A))
        assert put(line, 1, 1, episode(0), learner) == [4]
        with pytest.raises(pa.ArrowInvalid):
            raw_put(client, *bad_puts(learner.spec)[name])
        assert learner.exchange.refused == 1
        assert learner.kept == keys([episode(0)])
        good = [(message_of(learner.spec, 5, episode(1)), encode(MessageHeader(more=False)))]
        header = flight.FlightDescriptor.for_command(encode(PutHeader(A, 1)))
        raw_put(client, header, put_schema(learner.codecs[0]), good)
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
            list(line.put(PutHeader(A, 1), codec, messages))
        assert line.hello(hello_of(learner.spec, A)).stored in (0, 101)


@pytest.mark.parametrize("caller", ["a silent one", "an open put", "a put with a deadline", "a fetch"])
def test_server_stops_while_callers_are_connected(learner: ToyLearner, caller: str) -> None:
    with contextlib.ExitStack() as callers:
        if caller == "a silent one":
            callers.enter_context(socket.create_connection(learner.address, timeout=LONG_S))
        else:
            client = callers.enter_context(raw(learner))
            if caller == "a fetch":
                ticket = flight.Ticket(b'{"newer_than": 5, "within_s": 1}')
                threading.Thread(target=fetch_quietly, args=(client, ticket), daemon=True).start()
            else:
                descriptor = flight.FlightDescriptor.for_command(encode(PutHeader(A, 1)))
                options = flight.FlightCallOptions(timeout=1.0 if caller == "a put with a deadline" else None)
                writer, _ = client.do_put(descriptor, put_schema(learner.codecs[0]), options)
                callers.callback(end_quietly, writer)
        with calling(learner) as line:
            line.describe()
        time.sleep(0.1)
        leaving = threading.Thread(target=learner.stop, daemon=True)
        leaving.start()
        leaving.join(6.0)
        left = not leaving.is_alive()
    leaving.join(LONG_S)
    assert left, "it waits until the caller hangs up"
