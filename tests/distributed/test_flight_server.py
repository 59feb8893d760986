"""Actors and a learner over real sockets: every step arrives once, whoever goes, lies, stalls or sends junk."""

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import flight

from hilserl.address import Address
from hilserl.data.arrow import arrow_schema
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.distributed import exchange as exchange_module
from hilserl.distributed import flight_client as line_module
from hilserl.distributed import remote_learner as client_module
from hilserl.distributed.actor_node import Place, fetch_run_config
from hilserl.distributed.credentials import Credentials, make_credentials
from hilserl.distributed.flight_client import LearnerClient
from hilserl.distributed.flight_server import Service
from hilserl.distributed.protocol import (
    EPISODES_PER_ACTOR,
    MAX_MESSAGE_BYTES,
    MAX_ROWS,
    ActorReport,
    Description,
    EntryHeader,
    ProtocolError,
    PutHeader,
    UnreachableError,
    batch_of,
    empty_batch,
    encode,
)
from hilserl.distributed.remote_learner import RemoteLearner
from hilserl.distributed.spool import Spool, SpoolFullError
from hilserl.errors import HilserlError
from hilserl.training.config import preset
from hilserl.training.config_file import to_json
from hilserl.training.learner import LearnerFacts
from tests.support.loopback import Proxy, ToyLearner, free_port, hello_of, key, keys, linked, toy_weights, until
from tests.support.loopback import toy_episode as episode
from tests.support.steps import make_episode, make_step

A, B, C = ("a" * 32, "b" * 32, "c" * 32)
LONG_S = 30.0
"""Longer than anything here takes on a machine that is not stuck."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who fails tries again soon, so that tests are short."""
    monkeypatch.setattr(line_module, "_FIRST_BACKOFF_S", 0.02)
    monkeypatch.setattr(line_module, "_LONGEST_BACKOFF_S", 0.2)
    monkeypatch.setattr(client_module, "_HEARTBEAT_S", 0.1)
    monkeypatch.setattr(client_module, "_IDLE_S", 0.02)
    monkeypatch.setattr(client_module, "_WEIGHTS_WAIT_S", 0.1)


@pytest.fixture
def learner(tmp_path: Path, state_spec: ExperienceSpec) -> Iterator[ToyLearner]:
    with ToyLearner(tmp_path, state_spec) as learner:
        yield learner


@contextlib.contextmanager
def calling(
    learner: ToyLearner | Address, credentials: Credentials | None = None, deadline_s: float = LONG_S
) -> Iterator[LearnerClient]:
    address = learner if isinstance(learner, Address) else learner.address
    with contextlib.closing(LearnerClient(address, credentials or Credentials(), deadline_s)) as line:
        yield line


@contextlib.contextmanager
def raw(learner: ToyLearner) -> Iterator[flight.FlightClient]:
    """A caller that keeps to nothing."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with flight.FlightClient(f"grpc://{learner.address}", generic_options=options) as client:
        yield client


def put(
    line: LearnerClient, session: int, first: int, steps: Sequence[Step], learner: ToyLearner, stream: str = A
) -> list[int]:
    messages = [(EntryHeader(first), batch_of(steps, learner.spec))]
    return list(line.put(PutHeader(stream, session), messages, arrow_schema(learner.spec)))


# Who is let in.


def test_a_hello_is_answered_with_where_the_stream_stands(learner: ToyLearner) -> None:
    with calling(learner) as line:
        welcome = line.hello(hello_of(learner.spec, A))
        assert (welcome.run, welcome.number, welcome.session) == (learner.store.run, 0, 1)
        assert (welcome.stored, welcome.next_episode, welcome.outcomes) == (0, 0, ((True, False),))
        assert line.hello(hello_of(learner.spec, B)).next_episode == EPISODES_PER_ACTOR
        assert put(line, 1, 1, episode(0), learner) == [4]
        again = line.hello(hello_of(learner.spec, A, run=welcome.run))
        assert (again.number, again.session, again.stored, again.next_episode) == (0, 2, 4, 1)
        assert line.report(ActorReport(A, numbers={"steps": 4.0})).actors == 2
        description = line.describe()
        assert (description.run, description.config, description.actors) == (welcome.run, '{"task": "toy"}', 2)
    assert learner.exchange.refused == 0


def misfits(spec: ExperienceSpec) -> dict[str, tuple[dict[str, Any], Sequence[str]]]:
    """Hellos that do not fit, and what must be said: both sides."""
    wide = StateLayout((entry("position_m", 3), entry("gripper_command", 1)))
    renamed = StateLayout((entry("velocity_m", 2), entry("gripper_command", 1)))

    def other(**changes: Any) -> dict[str, Any]:
        return {"experience": dataclasses.replace(spec, **changes).to_json()}

    return {
        "protocol": ({"protocol": 2}, ("here 1", "there 2")),
        "version": ({"version": "99.9"}, ("here '0", "there '99.9'")),
        "encoder": ({"encoder": "resnet10"}, ("here 'none'", "there 'resnet10'")),
        "task": (other(task="stack"), ("here 'toy'", "there 'stack'")),
        "state size": (other(state=wide), ("'size': 2", "'size': 3")),
        "state names": (other(state=renamed), ("position_m", "velocity_m")),
        "images": (other(images=(("eye", (2, 3, 3)),)), ("here []", "there [['eye'")),
        "control": (other(control_dt_s=0.05), ("here 0.1", "there 0.05")),
        "run": ({"run": "another run"}, ("another run than this learner's",)),
        "junk": ({"experience": "junk"}, ("cannot be read",)),
    }


def test_what_does_not_fit_is_refused_with_both_sides_in_the_message(learner: ToyLearner) -> None:
    with calling(learner) as line:
        for changes, parts in misfits(learner.spec).values():
            with pytest.raises(ProtocolError) as refused:
                line.hello(hello_of(learner.spec, A, **changes))
            for part in parts:
                assert part in str(refused.value)
        assert learner.exchange.refused == len(misfits(learner.spec))
        assert learner.said, "the learner's side tells it too"
        assert not learner.store.cursors
        assert line.hello(hello_of(learner.spec, A)).session == 1


def everything(line: LearnerClient, learner: ToyLearner) -> dict[str, Callable[[], object]]:
    return {
        "describe": line.describe,
        "hello": lambda: line.hello(hello_of(learner.spec, A)),
        "report": lambda: line.report(ActorReport(A)),
        "weights": lambda: line.weights(0, -1, 0.1),
        "put": lambda: put(line, 1, 1, episode(0), learner),
    }


def test_without_the_right_token_nothing_is_done(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    with ToyLearner(tmp_path, state_spec, Credentials("the token")) as learner:
        with calling(learner, Credentials("the token")) as line:
            line.hello(hello_of(state_spec, A))
        refused = 0
        for token in (None, "another", "the token2", "the toke", "THE TOKEN", "x" * 4000):
            with calling(learner, Credentials(token)) as line:
                for call in everything(line, learner).values():
                    with pytest.raises(ProtocolError, match="token"):
                        call()
                    refused += 1
        assert learner.exchange.refused == refused
        assert learner.store.cursors[A].session == 1
        assert learner.kept == []
        with calling(learner, Credentials("the token")) as line:
            for name, call in everything(line, learner).items():
                call() if name != "put" else put(line, 2, 1, episode(0), learner)
        assert learner.kept == keys([episode(0)])


def test_a_token_in_any_other_form_is_refused(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    headers = [
        [(b"authorization", b"the token2")],
        [(b"authorization", b"Basic the token")],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Bearer wrong"), (b"authorization", b"Bearer the token")],
        [(b"token", b"the token")],
        [(b"authorization-bin", b"\xff\xfe\0")],
    ]
    with ToyLearner(tmp_path, state_spec, Credentials("the token")) as learner, raw(learner) as client:
        for header in headers:
            options = flight.FlightCallOptions(timeout=LONG_S, headers=header)
            with pytest.raises((flight.FlightUnauthenticatedError, pa.ArrowException)):
                list(client.do_action(("describe", b"{}"), options))
        options = flight.FlightCallOptions(timeout=LONG_S, headers=[(b"authorization", b"Bearer the token")])
        assert len(list(client.do_action(("describe", b"{}"), options))) == 1


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Credentials]:
    folder = tmp_path_factory.mktemp("credentials")
    return {
        "right": make_credentials(folder / "right", ["127.0.0.1", "localhost"]),
        "other": make_credentials(folder / "other", ["127.0.0.1", "localhost"]),
        "expired": make_credentials(folder / "expired", ["127.0.0.1", "localhost"], valid_days=-1),
        "elsewhere": make_credentials(folder / "elsewhere", ["learner.example", "10.0.0.7"]),
    }


def without_key(credentials: Credentials) -> Credentials:
    return Credentials(credentials.token, credentials.certificate)


def test_an_encrypted_line_carries_everything(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials]
) -> None:
    with ToyLearner(tmp_path, state_spec, secrets["right"]) as learner:
        with linked(tmp_path / "actor", state_spec, learner.address, without_key(secrets["right"])) as link:
            link.connect(lambda _: False)
            for step in episode(0):
                link.send(step)
            assert link.flush(LONG_S)
        with calling(Address("localhost", learner.port), without_key(secrets["right"])) as line:
            line.describe()
        assert learner.kept == keys([episode(0)])


@pytest.mark.parametrize("shown", ["other", "expired", "elsewhere"])
def test_a_learner_that_cannot_be_trusted_is_told_nothing(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials], shown: str
) -> None:
    """Another's certificate, one that has expired, one for another host."""
    believed = secrets["right" if shown == "other" else shown]
    with (
        ToyLearner(tmp_path, state_spec, dataclasses.replace(secrets[shown], token=believed.token)) as learner,
        calling(learner, without_key(believed)) as line,
    ):
        for call in everything(line, learner).values():
            with pytest.raises(ProtocolError, match=r"certificate.*is not to be trusted"):
                call()
        assert not learner.store.cursors


def test_with_the_right_certificate_a_wrong_token_is_no_use(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials]
) -> None:
    wrong = dataclasses.replace(without_key(secrets["right"]), token=secrets["other"].token)
    with ToyLearner(tmp_path, state_spec, secrets["right"]) as learner, calling(learner, wrong) as line:
        with pytest.raises(ProtocolError, match="The token is wrong"):
            line.hello(hello_of(state_spec, A))
        assert not learner.store.cursors


def test_an_open_line_does_not_reach_an_encrypted_learner_nor_the_other_way_round(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials]
) -> None:
    right = secrets["right"]
    for name, shown, used in (("tls", right, Credentials(right.token)), ("plain", Credentials(right.token), right)):
        (tmp_path / name).mkdir()
        with ToyLearner(tmp_path / name, state_spec, shown) as learner:
            with calling(learner, without_key(used)) as line, pytest.raises((UnreachableError, ProtocolError)):
                line.hello(hello_of(state_spec, A))
            assert not learner.store.cursors
            with calling(learner, without_key(shown)) as line:
                line.describe()


# Where a learner listens.


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.255.255.1", "learner.example"])
@pytest.mark.parametrize("name", ["nothing", "token", "certificate"])
def test_nobody_listens_to_the_world_without_credentials(
    learner: ToyLearner, secrets: dict[str, Credentials], host: str, name: str
) -> None:
    right = secrets["right"]
    credentials = {
        "nothing": Credentials(),
        "token": Credentials(right.token),
        "certificate": Credentials(None, right.certificate, right.key),
    }[name]
    with pytest.raises(HilserlError, match="hilserl credentials"):
        Service(learner.exchange, learner.spec, Address(host, free_port()), credentials)


def test_with_credentials_it_listens_to_the_world(
    tmp_path: Path, state_spec: ExperienceSpec, secrets: dict[str, Credentials]
) -> None:
    with ToyLearner(tmp_path, state_spec) as learner:
        service = Service(learner.exchange, state_spec, Address("0.0.0.0", 0), secrets["right"])
        try:
            with calling(Address("127.0.0.1", service.port), without_key(secrets["right"])) as line:
                line.describe()
        finally:
            service.shutdown()


def test_a_port_that_is_taken_is_refused_by_name_and_goes_on(learner: ToyLearner) -> None:
    with pytest.raises(HilserlError, match=f"Cannot listen on 127.0.0.1:{learner.port}"):
        Service(learner.exchange, learner.spec, learner.address, Credentials())
    with calling(learner) as line:
        line.describe()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HilserlError, match=f"Cannot listen on 127.0.0.1:{port}"):
            Service(learner.exchange, learner.spec, Address("127.0.0.1", port), Credentials())


def test_a_host_that_is_not_this_machine_is_named(learner: ToyLearner, secrets: dict[str, Credentials]) -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(HilserlError, match=f"Cannot listen on {host}"):
            Service(learner.exchange, learner.spec, Address(host, 1), secrets["right"])


def test_a_certificate_that_is_none_is_refused(learner: ToyLearner) -> None:
    junk = Credentials("token", b"junk", b"junk")
    with pytest.raises(HilserlError, match="Cannot listen on"):
        Service(learner.exchange, learner.spec, Address("127.0.0.1", 0), junk)


# Junk.

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def test_junk_on_the_port_disturbs_nobody(learner: ToyLearner) -> None:
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


def test_callers_that_say_nothing_keep_nobody_out(learner: ToyLearner) -> None:
    """Three callers filled LeRobot's service; here fifty connect, and thirty of them begin a put and fall silent."""
    with contextlib.ExitStack() as silent:
        for _ in range(20):
            silent.enter_context(socket.create_connection(learner.address, timeout=LONG_S))
        for _ in range(30):
            client = silent.enter_context(raw(learner))
            descriptor = flight.FlightDescriptor.for_command(encode(PutHeader(B, 1)))
            writer, _ = client.do_put(descriptor, arrow_schema(learner.spec), flight.FlightCallOptions(timeout=LONG_S))
            silent.callback(_end, writer)
        with calling(learner) as line:
            line.hello(hello_of(learner.spec, A))
            assert put(line, 1, 1, episode(0), learner) == [4]
            assert line.weights(0, -1, 1.0) is not None


def test_junk_in_an_action_is_refused_and_counted(learner: ToyLearner) -> None:
    bodies = [b"", b"junk", b"\xff" * 50, b"{}", b"null", b"[" * 50_000, b" " * (MAX_MESSAGE_BYTES + 1)]
    deep = b'{"unknown": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    with raw(learner) as client:
        for refused, (action, body) in enumerate(
            [(action, body) for action in ("hello", "report") for body in [*bodies, deep]], start=1
        ):
            with pytest.raises(pa.ArrowInvalid, match=r"Not a|bytes; at most"):
                list(client.do_action((action, body)))
            assert learner.exchange.refused == refused
        for action in ("", "Hello", "shutdown", "hello2", "x" * 100_000, "../describe"):
            with pytest.raises(pa.ArrowInvalid, match="there is: hello, report, describe"):
                list(client.do_action((action, b"{}")))
        assert len(list(client.do_action(("describe", b"whatever")))) == 1
    assert learner.exchange.refused == refused + 6
    assert not learner.store.cursors


def test_junk_in_a_request_for_weights_is_refused_and_counted(learner: ToyLearner) -> None:
    tickets = [b"", b"junk", b'{"newer_than": 0, "within_s": 11}', b'{"newer_than": -2, "within_s": 0}', b"[" * 9999]
    with raw(learner) as client:
        for ticket in tickets:
            with pytest.raises(pa.ArrowInvalid, match="Not a WeightsWanted"):
                client.do_get(flight.Ticket(ticket)).read_all()
    assert learner.exchange.refused == len(tickets)


def test_calls_that_do_not_exist_disturb_nobody(learner: ToyLearner) -> None:
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


def raw_put(
    client: flight.FlightClient,
    descriptor: flight.FlightDescriptor,
    schema: pa.Schema,
    messages: Sequence[tuple[pa.RecordBatch | None, bytes | None]],
) -> None:
    """A put as it comes; raises what the learner says to it."""
    writer, reader = client.do_put(descriptor, schema, flight.FlightCallOptions(timeout=LONG_S))
    try:
        for batch, metadata in messages:
            if batch is None:
                writer.write_metadata(metadata)
            elif metadata is None:
                writer.write_batch(batch)
            else:
                writer.write_with_metadata(batch, metadata)
        writer.done_writing()
        while reader.read() is not None:
            pass
    finally:
        writer.close()


def with_column(batch: pa.RecordBatch, name: str, column: pa.Array) -> pa.RecordBatch:
    columns = [column if field.name == name else batch.column(field.name) for field in batch.schema]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def bad_puts(spec: ExperienceSpec) -> dict[str, tuple[Any, pa.Schema, list[Any]]]:
    """Puts that must be refused: what each is, its schema, its messages. The stream expects entry 5, episode 1."""
    good, header = batch_of(episode(1), spec), flight.FlightDescriptor.for_command(encode(PutHeader(A, 1)))
    schema, first = good.schema, encode(EntryHeader(5))
    other = batch_of(episode(1), dataclasses.replace(spec, task="other"))
    camera = ExperienceSpec(spec.task, spec.state, spec.action, (("eye", (2, 3, 3)),))
    seen = batch_of(make_episode(1, 2), camera)
    plain = pa.record_batch({"a": [1, 2]})
    nan = pa.array([0.0, float("nan"), 0.0, 0.0], pa.float32())
    missing = pa.array([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], None], pa.list_(pa.float32(), 2))
    nobody = pa.array([1, 1, None, 1], pa.int64())
    command = flight.FlightDescriptor.for_command
    return {
        "junk header": (command(b"junk"), schema, [(good, first)]),
        "no header": (command(b""), schema, [(good, first)]),
        "a path": (flight.FlightDescriptor.for_path("a", "b"), schema, [(good, first)]),
        "huge header": (command(b" " * (MAX_MESSAGE_BYTES + 1)), schema, [(good, first)]),
        "unknown stream": (command(encode(PutHeader(C, 1))), schema, [(good, first)]),
        "older session": (command(encode(PutHeader(A, 0))), schema, [(good, first)]),
        "later session": (command(encode(PutHeader(A, 2))), schema, [(good, first)]),
        "other columns": (header, plain.schema, [(plain, first)]),
        "other task": (header, other.schema, [(other, first)]),
        "a camera more": (header, seen.schema, [(seen, first)]),
        "no columns": (header, pa.schema([]), []),
        "no metadata": (header, schema, [(good, None)]),
        "empty metadata": (header, schema, [(good, b"")]),
        "junk metadata": (header, schema, [(good, b"\xff" * 9)]),
        "huge metadata": (header, schema, [(good, b" " * (MAX_MESSAGE_BYTES + 1))]),
        "deep metadata": (header, schema, [(good, b'{"x": ' + b"[" * 50_000 + b"]" * 50_000 + b', "first": 5}')]),
        "entry 0": (header, schema, [(good, b'{"first": 0}')]),
        "only metadata": (header, schema, [(None, first)]),
        "a gap": (header, schema, [(good, encode(EntryHeader(6)))]),
        "an episode again": (header, schema, [(batch_of(episode(0), spec), first)]),
        "not in order": (header, schema, [(batch_of(episode(1)[::-1], spec), first)]),
        "another's episode": (header, schema, [(batch_of(episode(EPISODES_PER_ACTOR), spec), first)]),
        "too many": (header, schema, [(batch_of(episode(1, MAX_ROWS), spec), first)]),
        "NaN": (header, schema, [(with_column(good, "reward", nan), first)]),
        "a missing action": (header, schema, [(with_column(good, "action", missing), first)]),
        "a missing number": (header, schema, [(with_column(good, "episode", nobody), first)]),
        "no such discard": (header, schema, [(empty_batch(spec), encode(EntryHeader(5, 1)))]),
        "good, then NaN": (
            header,
            schema,
            [(good.slice(0, 0), encode(EntryHeader(5, more=True))), (with_column(good, "reward", nan), first)],
        ),
    }


TOY = ExperienceSpec(
    "toy",
    StateLayout((entry("position_m", 2), entry("gripper_command", 1))),
    ActionLayout(("dx", "gripper"), grippers=(1,)),
)


@pytest.mark.parametrize("name", bad_puts(TOY))
def test_a_bad_put_is_refused_and_counted_and_the_next_good_one_is_taken(learner: ToyLearner, name: str) -> None:
    with calling(learner) as line, raw(learner) as client:
        line.hello(hello_of(learner.spec, A))
        assert put(line, 1, 1, episode(0), learner) == [4]
        with pytest.raises(pa.ArrowInvalid):
            raw_put(client, *bad_puts(learner.spec)[name])
        assert learner.exchange.refused == 1
        assert learner.kept == keys([episode(0)])
        good = [(batch_of(episode(1), learner.spec), encode(EntryHeader(5)))]
        header = flight.FlightDescriptor.for_command(encode(PutHeader(A, 1)))
        raw_put(client, header, arrow_schema(learner.spec), good)
        assert put(line, 1, 9, episode(2), learner) == [12]
    assert learner.kept == keys([episode(n) for n in range(3)])
    assert learner.exchange.refused == 1


def test_a_refusal_in_the_midst_of_many_messages_is_told(learner: ToyLearner) -> None:
    """However much more the actor wants to send: it learns why, and what came before is stored."""
    messages = [(EntryHeader(1), batch_of(episode(0, 100, ends=False), learner.spec))]
    messages += [(EntryHeader(500), batch_of(episode(1, 200), learner.spec)) for _ in range(200)]
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        with pytest.raises(ProtocolError, match="Entry 500 came where 102 was expected"):
            list(line.put(PutHeader(A, 1), messages, arrow_schema(learner.spec)))
        assert line.hello(hello_of(learner.spec, A)).stored in (0, 101)


# Steps.


def test_many_messages_are_stored_in_order_and_acknowledged_as_they_are(learner: ToyLearner) -> None:
    steps = [step for n in range(12) for step in episode(n, 6)]
    messages = [(EntryHeader(n + 1), batch_of([step], learner.spec)) for n, step in enumerate(steps)]
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        told = list(line.put(PutHeader(A, 1), messages, arrow_schema(learner.spec)))
        assert told == sorted(told)
        assert told[-1] == len(steps)
        assert len(told) < len(steps), "several with one answer"
        again = list(line.put(PutHeader(A, 1), messages, arrow_schema(learner.spec)))
        assert set(again) == {len(steps)}
    assert learner.kept == keys([episode(n, 6) for n in range(12)])
    assert [key(step) for step in learner.drain()] == [key(step) for step in steps], "the learner is given them once"
    assert learner.exchange.repeated == len(steps)


def test_ctrl_c_while_the_learner_answers_is_not_forgotten(
    learner: ToyLearner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(line: LearnerClient) -> Description:
        del line
        os.kill(os.getpid(), signal.SIGINT)
        return Description("run", "", to_json(preset("pick_cube")), LearnerFacts(), 0)

    monkeypatch.setattr(LearnerClient, "describe", answer)
    with pytest.raises(KeyboardInterrupt):
        fetch_run_config(Place(learner.address, Credentials(), tmp_path))


def test_two_processes_with_one_stream_take_turns(learner: ToyLearner) -> None:
    """As where an actor's folder was copied: their entries would have the same numbers."""
    with calling(learner) as line:
        mine, theirs = (hello_of(learner.spec, A, process=name) for name in ("mine", "theirs"))
        assert line.hello(mine).session == 1
        with pytest.raises(UnreachableError, match=r"another process.*run-dir"):
            line.hello(theirs)
        assert line.hello(mine).session == 2, "the same process after a broken connection"
        line.report(ActorReport(A, {}, leaving=True, name="toy"))
        assert line.hello(theirs).session == 3
        with pytest.raises(UnreachableError):
            line.hello(mine)
    learner.stop()
    learner.start()
    with calling(learner) as line:
        line.report(ActorReport(A, {}, name="toy"))
        assert line.hello(mine).session == 4, "a learner that began anew goes by who says hello first"
        with pytest.raises(UnreachableError):
            line.hello(theirs)


def test_a_process_that_was_killed_is_followed_once_it_is_silent(
    learner: ToyLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hilserl.distributed.exchange.ALIVE_S", 0.05)
    with calling(learner) as line:
        assert line.hello(hello_of(learner.spec, A, process="killed")).session == 1
        time.sleep(0.1)
        assert line.hello(hello_of(learner.spec, A, process="its successor")).session == 2


def test_a_put_of_an_earlier_session_is_refused(learner: ToyLearner) -> None:
    with calling(learner) as old, calling(learner) as new:
        old.hello(hello_of(learner.spec, A))
        put(old, 1, 1, episode(0), learner)
        new.hello(hello_of(learner.spec, A))
        with pytest.raises(ProtocolError, match=r"Session 1.*copy of the same folder"):
            put(old, 1, 5, episode(1), learner)
        assert put(new, 2, 5, episode(1), learner) == [8]
    assert learner.kept == keys([episode(0), episode(1)])


def test_a_discard_with_steps_is_refused(learner: ToyLearner) -> None:
    """They could be neither kept nor forgotten."""
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        assert put(line, 1, 1, episode(0, ends=False), learner) == [4]
        messages = [(EntryHeader(5, 0), batch_of(episode(1), learner.spec))]
        with pytest.raises(ProtocolError, match="discard"):
            list(line.put(PutHeader(A, 1), messages, arrow_schema(learner.spec)))
    assert learner.kept == keys([episode(0, ends=False)])


def test_two_actors_of_one_name_are_two(learner: ToyLearner) -> None:
    """In agentlace the steps of the second one were dropped."""
    with calling(learner) as line:
        for stream in (A, B):
            line.hello(hello_of(learner.spec, stream, name="same"))
        put(line, 1, 1, episode(0), learner, A)
        put(line, 1, 1, episode(EPISODES_PER_ACTOR), learner, B)
    assert learner.kept == keys([episode(0), episode(EPISODES_PER_ACTOR)])


def test_a_learner_that_is_behind_says_so_and_takes_more_later(
    learner: ToyLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange_module, "_BACKLOG_STEPS", 8)
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        for number in (0, 1):
            put(line, 1, 4 * number + 1, episode(number), learner)
        with pytest.raises(UnreachableError, match="behind"):
            put(line, 1, 9, episode(2), learner)
        learner.drain()
        assert put(line, 1, 9, episode(2), learner) == [12]
    assert learner.exchange.refused == 0, "nobody did anything wrong"


def test_a_full_disk_is_no_acknowledgement(learner: ToyLearner) -> None:
    with calling(learner) as line:
        line.hello(hello_of(learner.spec, A))
        put(line, 1, 1, episode(0), learner)
        (pages,) = learner.store._db.execute("PRAGMA page_count").fetchone()
        learner.store._db.execute(f"PRAGMA max_page_count={pages}")
        big = episode(1, 200)
        with pytest.raises(UnreachableError, match=r"cannot write.*incoming\.sqlite"):
            put(line, 1, 5, big, learner)
        assert [key(step) for step in learner.drain()] == [key(step) for step in episode(0)]
        learner.store._db.execute("PRAGMA max_page_count=1000000")
        assert put(line, 1, 5, big, learner) == [205]
    assert learner.kept == keys([episode(0), big])


def test_a_call_ends_when_its_time_is_over_and_others_are_served(
    learner: ToyLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = threading.Event()
    monkeypatch.setattr(learner, "_prepare", lambda step: (stuck.wait(LONG_S) and step) or step)
    learner.stop()
    learner.start()
    with calling(learner, deadline_s=1.0) as line, calling(learner) as other:
        try:
            line.hello(hello_of(learner.spec, A))
            with pytest.raises(UnreachableError, match=str(learner.address)):
                put(line, 1, 1, episode(0), learner)
            other.describe()
            assert other.hello(hello_of(learner.spec, B)).number == 1
        finally:
            stuck.set()


@pytest.mark.parametrize("caller", ["a silent one", "an open put", "a put with a deadline", "a fetch"])
def test_a_learner_can_leave_whoever_is_connected(learner: ToyLearner, caller: str) -> None:
    with contextlib.ExitStack() as callers:
        if caller == "a silent one":
            callers.enter_context(socket.create_connection(learner.address, timeout=LONG_S))
        else:
            client = callers.enter_context(raw(learner))
            if caller == "a fetch":
                ticket = flight.Ticket(b'{"newer_than": 5, "within_s": 1}')
                threading.Thread(target=_fetched, args=(client, ticket), daemon=True).start()
            else:
                descriptor = flight.FlightDescriptor.for_command(encode(PutHeader(A, 1)))
                options = flight.FlightCallOptions(timeout=1.0 if caller == "a put with a deadline" else None)
                writer, _ = client.do_put(descriptor, arrow_schema(learner.spec), options)
                callers.callback(_end, writer)
        with calling(learner) as line:
            line.describe()
        time.sleep(0.1)
        leaving = threading.Thread(target=learner.stop, daemon=True)
        leaving.start()
        leaving.join(6.0)
        left = not leaving.is_alive()
    leaving.join(LONG_S)
    assert left, "it waits until the caller hangs up"


def _end(writer: Any) -> None:
    with contextlib.suppress(pa.ArrowException):
        writer.close()


def _fetched(client: flight.FlightClient, ticket: flight.Ticket) -> None:
    with contextlib.suppress(pa.ArrowException):
        client.do_get(ticket).read_all()


# Weights.


def publishing(learner: ToyLearner, versions: int, every_s: float) -> threading.Thread:
    """A learner's thread that publishes; the numbers tell the version."""

    def publish() -> None:
        for version in range(1, versions + 1):
            learner.published = (version, {name: np.full(1000, version) for name in "ab"})
            time.sleep(every_s)

    thread = threading.Thread(target=publish, daemon=True)
    thread.start()
    return thread


def test_a_slow_fetcher_gets_the_newest_weights_and_never_older_ones(learner: ToyLearner) -> None:
    """In agentlace it got 34 stale versions of 40, one after the other."""
    with calling(learner) as line:
        thread, got, last, life = publishing(learner, 60, 0.005), [], -1, 0
        while last < 60:
            asked_at = learner.published[0]
            found = line.weights(life, last, 5.0)
            assert found is not None
            assert found.version >= asked_at, "no older than what was the newest when it asked"
            assert found.version > last
            if found.version:
                assert {len(array) for array in found.arrays.values()} == {1000}
                assert {*np.concatenate(list(found.arrays.values()))} == {found.version}, "of one piece"
            last, life = found.version, found.life
            got.append(last)
            time.sleep(0.05)
        thread.join()
    assert got[-1] == 60
    assert len(got) < 40


def test_many_fetchers_at_once_all_go_forward(learner: ToyLearner) -> None:
    failures: list[BaseException] = []

    def fetch() -> None:
        try:
            with calling(learner) as line:
                last, life = -1, 0
                while last < 30:
                    found = line.weights(life, last, 5.0)
                    assert found is not None
                    assert found.version > last
                    last, life = found.version, found.life
        except BaseException as error:  # noqa: BLE001 - told below
            failures.append(error)

    fetchers = [threading.Thread(target=fetch) for _ in range(12)]
    for each in fetchers:
        each.start()
    publishing(learner, 30, 0.01).join()
    for each in fetchers:
        each.join()
    assert not failures


def test_where_there_is_nothing_newer_in_time_there_is_nothing(learner: ToyLearner) -> None:
    with calling(learner) as line:
        first = line.weights(0, 7, 0.0)
        assert first is not None, "what another learner had is not newer"
        life = first.life
        assert line.weights(life, 0, 0.0) is None
        assert line.weights(life, 0, 0.1) is None
        assert line.weights(life, 7, 0.0) is None
        assert line.weights(life, -1, 0.0) is not None
        three = {"three": np.full(3, 3.0)}
        publisher = threading.Timer(0.1, lambda: setattr(learner, "published", (3, three)))
        publisher.start()
        found = line.weights(life, 0, 10.0)
        publisher.join()
        assert found is not None
        assert (found.life, found.version, found.arrays["three"].tolist()) == (life, 3, [3.0, 3.0, 3.0])


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_weights_of_any_size_come_whole(learner: ToyLearner, size: int) -> None:
    rng = np.random.default_rng(0)
    learner.published = (1, {"a.weight": rng.standard_normal((size, 2), np.float32), "b": np.arange(7).reshape(7, 1)})
    with calling(learner) as line:
        found = line.weights(0, 0, 1.0)
        assert found is not None
        assert found.arrays.keys() == learner.published[1].keys()
        for name, array in learner.published[1].items():
            assert found.arrays[name].dtype == array.dtype
            np.testing.assert_array_equal(found.arrays[name], array)


# The link.


def send(link: RemoteLearner, steps: Sequence[Step]) -> float:
    """Sends steps; how long the longest took."""
    longest = 0.0
    for step in steps:
        began = time.monotonic()
        link.send(step)
        longest = max(longest, time.monotonic() - began)
    return longest


def gone(_: str) -> bool:
    """For who does not wait."""
    return False


@pytest.fixture
def link(tmp_path: Path, learner: ToyLearner) -> Iterator[RemoteLearner]:
    with linked(tmp_path / "actor", learner.spec, learner.address) as link:
        yield link


def test_a_link_carries_steps_weights_and_signs_of_life(tmp_path: Path, learner: ToyLearner) -> None:
    learner.facts = LearnerFacts(update_steps=5, update_steps_per_s=2.5, losses={"critic": 0.5})
    with linked(tmp_path / "actor", learner.spec, learner.address, numbers=lambda: {"steps": 12.0}) as link:
        welcome = link.connect(gone)
        assert (welcome.number, welcome.session, link.weights()[1]) == (0, 1, 0)
        send(link, [*episode(0), *episode(1)])
        assert link.flush(LONG_S)
        until(lambda: link.counters.sent == 8, "all of it to be counted")
        assert (link.waiting, link.counters.dropped, link.counters.failures) == (0, 0, 0)
        until(lambda: link.state == f"{learner.address}, connected, 0 steps to send", "a sign of life")
        learner.published = (7, toy_weights())
        until(lambda: link.weights()[1] == 7, "the new weights")
        until(lambda: link.counters.weights == 2, "them to be counted")
        learner.facts = dataclasses.replace(learner.facts, update_steps=9)
        learner.exchange.stop = "solved"
        until(lambda: link.stop_reason == "solved" and link.facts.update_steps == 9, "the learner's answer")
        assert link.facts.losses == {"critic": 0.5}
        assert learner.exchange.alive[0].numbers == {"steps": 12.0}
        assert not learner.exchange.left
        link.close()
    assert learner.exchange.left
    assert not learner.exchange.alive
    assert learner.kept == keys([episode(0), episode(1)])
    assert [key(s) for s in learner.drain()] == [key(s) for s in [*episode(0), *episode(1)]]


def test_a_learner_that_comes_and_goes_has_every_step_once(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    longest, number = 0.0, 0
    for _ in range(3):
        for _ in range(5):
            longest = max(longest, send(link, episode(number, 7, ends=number % 3 > 0)))
            number += 1
        learner.stop()
        for _ in range(5):
            longest = max(longest, send(link, episode(number, 7, ends=number % 3 > 0)))
            number += 1
        assert not link.flush(0.05)
        assert link.waiting >= 35
        assert "steps to send" in link.state
        learner.start()
    assert link.flush(LONG_S)
    assert longest < 5, "the actor waits for nobody"
    assert link.counters.failures > 0
    assert learner.kept == keys([episode(n, 7, ends=n % 3 > 0) for n in range(number)])
    assert link.counters.dropped == 0


def test_a_learner_that_is_not_there_yet_is_waited_for(tmp_path: Path, state_spec: ExperienceSpec) -> None:
    reasons: list[str] = []
    address = Address("127.0.0.1", free_port())

    def wait(reason: str) -> bool:
        reasons.append(reason)
        return len(reasons) < 3

    with linked(tmp_path / "actor", state_spec, address) as link:
        with pytest.raises(UnreachableError, match=str(address)):
            link.connect(wait)
        assert len(reasons) == 3
        assert all(str(address) in reason for reason in reasons)
        send(link, episode(0))
        assert link.waiting == 4
        assert not link.flush(0.0)
        with ToyLearner(tmp_path, state_spec) as learner:
            learner.stop()
            learner.port = address.port
            learner.start()
            assert link.connect(wait).number == 0
            assert link.flush(LONG_S)
            assert learner.kept == keys([episode(0)])


def test_an_actor_that_does_not_fit_is_told_at_once(tmp_path: Path, learner: ToyLearner) -> None:
    other = dataclasses.replace(learner.spec, task="other")
    with (
        linked(tmp_path / "actor", other, learner.address) as link,
        pytest.raises(ProtocolError, match="task: here 'toy', there 'other'"),
    ):
        link.connect(lambda _: True)


def test_a_busy_learner_gets_everything_when_it_can(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.busy = UnreachableError("The learner is behind.")
    longest = send(link, [*episode(0), *episode(1, ends=False), *episode(2)])
    until(lambda: link.counters.failures >= 3, "some tries")
    assert link.waiting == 12
    learner.busy = None
    assert link.flush(LONG_S)
    assert longest < 5
    assert learner.kept == keys([episode(0), episode(1, ends=False), episode(2)])


def test_what_is_refused_is_raised_at_the_next_send(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.busy = ProtocolError("No more of this.")
    send(link, episode(0)[:1])
    until(lambda: link._failure is not None, "the refusal")
    with pytest.raises(ProtocolError, match=r"No more of this\."):
        link.send(episode(0)[1])
    assert link.waiting == 1, "nothing is thrown away"
    with pytest.raises(ProtocolError, match=r"No more of this\."):
        link.close()


def test_a_learner_that_went_back_to_an_older_checkpoint_is_followed(learner: ToyLearner, link: RemoteLearner) -> None:
    learner.published = (7, toy_weights())
    link.connect(gone)
    assert link.weights()[1] == 7
    learner.stop()
    learner.published = (3, toy_weights())
    learner.start()
    until(lambda: link.weights()[1] == 3, "the older version")


def test_weights_that_do_not_fit_are_raised_at_the_next_send(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.published = (1, {"junk": np.zeros(1)})
    until(lambda: link._failure is not None, "the weights")
    with pytest.raises(ProtocolError, match="weights do not fit"):
        link.send(episode(0)[0])
    assert link.weights()[1] == 0


def test_a_discard_arrives_after_its_steps_and_once(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    send(link, [*episode(0), *episode(1, ends=False)])
    link.forget(1)
    send(link, [*episode(2, ends=False)])
    assert link.flush(LONG_S)
    assert learner.kept == keys([episode(0), episode(2, ends=False)])
    learner.stop()
    link.forget(2)
    send(link, episode(3, ends=False))
    link.forget(3)
    send(link, episode(4))
    learner.start()
    assert link.flush(LONG_S)
    assert learner.kept == keys([episode(0), episode(4)])


def test_single_steps_and_discards_between_restarts_arrive_once(learner: ToyLearner, link: RemoteLearner) -> None:
    """A schedule of everything at once, drawn with a seed."""
    rng, expected = np.random.default_rng(0), []
    link.connect(gone)
    for number in range(40):
        steps = episode(number, int(rng.integers(0, 5)), ends=rng.random() < 0.6)
        send(link, steps)
        if not steps[-1].ends_episode and rng.random() < 0.5:
            link.forget(number)
        else:
            expected.append(steps)
        if rng.random() < 0.1:
            learner.stop()
            learner.start()
        if rng.random() < 0.3:
            time.sleep(0.02)
    assert link.flush(LONG_S)
    assert learner.kept == keys(expected)


def test_a_full_disk_cuts_the_episode_and_the_next_one_is_recorded_from_its_reset(
    tmp_path: Path, learner: ToyLearner
) -> None:
    with linked(tmp_path / "actor", learner.spec, learner.address, max_bytes=100_000) as link:
        link.connect(gone)
        learner.stop()
        assert link.has_room
        long = episode(0, 300)
        send(link, long)
        recorded = link.waiting
        assert 10 < recorded < 300
        assert link.counters.dropped == 301 - recorded
        assert not link.has_room
        send(link, episode(1, 3))
        assert link.counters.dropped == 305 - recorded, "not a step of it without its reset"
        link.forget(1)
        learner.start()
        assert link.flush(LONG_S)
        assert link.has_room
        send(link, episode(2, 3))
        assert link.flush(LONG_S)
        assert learner.kept == [keys([long])[0][:recorded], *keys([episode(2, 3)])]
        assert link.counters.dropped == 305 - recorded


def test_room_that_comes_back_within_an_episode_does_not_mend_it(tmp_path: Path, learner: ToyLearner) -> None:
    with linked(tmp_path / "actor", learner.spec, learner.address, max_bytes=100_000) as link:
        link.connect(gone)
        learner.stop()
        long = episode(0, 300)
        send(link, long[:200])
        recorded = link.waiting
        assert recorded < 200
        learner.start()
        assert link.flush(LONG_S)
        send(link, [*long[200:], *episode(1)])
        assert link.flush(LONG_S)
        assert learner.kept == [keys([long])[0][:recorded], *keys([episode(1)])]


def test_an_episode_is_forgotten_even_where_the_disk_is_full(
    learner: ToyLearner, link: RemoteLearner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator's word counts; it is not lost because there is no room for it now, nor does it end the actor."""
    link.connect(gone)
    original, full = Spool._put, True

    def put_if_there_is_room(spool: Spool, *arguments: Any) -> None:
        if full:
            raise SpoolFullError("There is no room for another step.")
        original(spool, *arguments)

    send(link, episode(0, ends=False))
    monkeypatch.setattr(Spool, "_put", put_if_there_is_room)
    link.forget(0)
    send(link, episode(1))
    full = False
    send(link, episode(2))
    assert link.flush(LONG_S)
    assert learner.kept == keys([episode(2)])


def test_an_actor_that_starts_again_goes_on_with_its_numbers(tmp_path: Path, learner: ToyLearner) -> None:
    """In agentlace the learner remembered the old numbers and dropped the next 500 steps."""
    expected: list[list[Step]] = []
    number = 0
    for life in range(4):
        with linked(tmp_path / "actor", learner.spec, learner.address) as link:
            welcome = link.connect(gone)
            assert (welcome.number, welcome.session) == (0, life + 1)
            number = max(welcome.next_episode, link._spool.next_episode)
            assert number == len(expected)
            for _ in range(3):
                expected.append(episode(number, 4, ends=life % 2 > 0))
                send(link, expected[-1])
                number += 1
            if life != 1:
                assert link.flush(LONG_S)
    with linked(tmp_path / "actor", learner.spec, learner.address) as link:
        link.connect(gone)
        assert link.flush(LONG_S)
    assert learner.kept == keys(expected)
    assert list(learner.store.cursors) == [link._spool.stream]


def test_an_actor_that_starts_again_without_a_learner_goes_on_with_its_episodes(
    tmp_path: Path, learner: ToyLearner
) -> None:
    with linked(tmp_path / "actor", learner.spec, learner.address) as link:
        link.connect(gone)
        learner.stop()
        send(link, [*episode(0), *episode(1, ends=False)])
    learner.start()
    with linked(tmp_path / "actor", learner.spec, learner.address) as link:
        welcome = link.connect(gone)
        send(link, episode(max(welcome.next_episode, 2)))
        assert link.flush(LONG_S)
    assert learner.kept == keys([episode(0), episode(1, ends=False), episode(2)])


def test_of_two_actors_with_one_folders_copies_one_is_refused_and_no_step_is_doubled(
    tmp_path: Path, learner: ToyLearner
) -> None:
    with linked(tmp_path / "one", learner.spec, learner.address) as one:
        one.connect(gone)
        send(one, episode(0))
        assert one.flush(LONG_S)
        learner.stop()
        send(one, episode(1))
        (tmp_path / "two").mkdir()
        for path in (tmp_path / "one").iterdir():
            shutil.copy(path, tmp_path / "two" / path.name)
        learner.start()
        with linked(tmp_path / "two", learner.spec, learner.address) as two:
            assert one.flush(LONG_S)
            welcome = two.connect(gone)
            send(two, episode(max(welcome.next_episode, 2)))
            assert two.flush(LONG_S)
            with contextlib.suppress(ProtocolError):
                send(one, episode(10))
            until(lambda: one._failure is not None, "the refusal")
            with pytest.raises(ProtocolError, match="copy of the same folder"):
                send(one, episode(11))
            send(two, episode(3))
            assert two.flush(LONG_S)
    assert learner.kept == keys([episode(n) for n in range(4)])


def test_a_spool_of_another_run_is_refused(tmp_path: Path, learner: ToyLearner, state_spec: ExperienceSpec) -> None:
    with linked(tmp_path / "actor", state_spec, learner.address) as link:
        link.connect(gone)
    (tmp_path / "other").mkdir()
    with (
        ToyLearner(tmp_path / "other", state_spec) as other,
        linked(tmp_path / "actor", state_spec, other.address) as link,
        pytest.raises(ProtocolError, match="another run"),
    ):
        link.connect(gone)


def test_a_network_that_swallows_bytes_loses_nothing(tmp_path: Path, learner: ToyLearner) -> None:
    with (
        Proxy(learner.port) as proxy,
        linked(tmp_path / "actor", learner.spec, Address("127.0.0.1", proxy.port)) as link,
    ):
        link.connect(gone)
        number, longest = 0, 0.0
        for how in ("cut", "drop", "cut"):
            for _ in range(6):
                longest = max(longest, send(link, episode(number, 5)))
                number += 1
                time.sleep(0.005)
            proxy.cut() if how == "cut" else proxy.drop()
            for _ in range(6):
                longest = max(longest, send(link, episode(number, 5)))
                number += 1
            if how == "cut":
                until(lambda: proxy.swallowed > 0, "something to be swallowed")
                # What had passed before the cut may still be on its way to the disk.
                assert not link.flush(0.5)
                before = learner.store.cursors[link._spool.stream].stored
                assert not link.flush(0.1)
                assert learner.store.cursors[link._spool.stream].stored == before
                proxy.mend()
        assert link.flush(LONG_S)
        assert longest < 5
    assert learner.kept == keys([episode(n, 5) for n in range(number)])


def test_an_acknowledgement_that_is_lost_doubles_nothing(tmp_path: Path, learner: ToyLearner) -> None:
    """The learner stores the steps, but the actor does not hear of it, again and again."""
    with (
        Proxy(learner.port) as proxy,
        linked(tmp_path / "actor", learner.spec, Address("127.0.0.1", proxy.port)) as link,
    ):
        link.connect(gone)
        for number in range(6):
            learner.store.lock.acquire()
            try:
                send(link, episode(number))
                until(lambda before=proxy.forwarded: proxy.forwarded > before, "the put under way")
                time.sleep(0.02)
                proxy.cut()
            finally:
                learner.store.lock.release()
            time.sleep(0.03)
            proxy.mend()
            assert link.flush(LONG_S)
    assert learner.kept == keys([episode(n) for n in range(6)])


def test_a_line_slower_than_a_call_may_last_still_gets_on(
    tmp_path: Path, spec: ExperienceSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twelve megabytes have gathered and five go over in one call's time: pieces of it must be acknowledged."""
    monkeypatch.setattr(LearnerClient.__init__, "__defaults__", (2.0,))
    eye = dataclasses.replace(spec, images=(("eye", (128, 128, 3)),))
    frame = np.random.default_rng(0).integers(0, 255, (128, 128, 3), np.uint8)
    steps = [
        dataclasses.replace(step, observation={**step.observation, "eye": frame}) for step in episode(0, MAX_ROWS - 1)
    ]
    with (
        ToyLearner(tmp_path, eye) as learner,
        Proxy(learner.port, bytes_per_s=2_500_000) as proxy,
        linked(tmp_path / "actor", eye, Address("127.0.0.1", proxy.port)) as link,
    ):
        learner.busy = UnreachableError("Not yet.")
        link.connect(gone)
        send(link, steps)
        learner.busy = None
        until(lambda: link.waiting < MAX_ROWS, "some of it to be acknowledged", 8.0)


def test_an_idle_actor_is_known_to_a_learner_that_starts_again(learner: ToyLearner, link: RemoteLearner) -> None:
    """Its operator thinks, its steps are all sent: nothing but its signs of life reach the new learner."""
    link.connect(gone)
    send(link, episode(0))
    assert link.flush(LONG_S)
    learner.stop()
    learner.start()
    until(lambda: link.counters.failures and link.state.endswith("connected, 0 steps to send"), "the line again")
    until(lambda: len(learner.exchange.alive) == 1, "the actor to be known", 5.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_ends_no_actor(tmp_path: Path, learner: ToyLearner, value: float) -> None:
    with linked(tmp_path / "actor", learner.spec, learner.address, numbers=lambda: {"late": value}) as link:
        link.connect(gone)
        learner.facts = LearnerFacts(1, losses={"critic": value})
        until(lambda: link._failure or link.facts.update_steps == 1, "a sign of life")
        send(link, episode(0))
        assert link.flush(LONG_S)


@pytest.mark.parametrize("method", ["tidy", "acknowledge"])
def test_a_disk_that_is_full_for_a_moment_ends_no_actor(
    learner: ToyLearner, link: RemoteLearner, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """The sending thread writes too; it must try again as it does for everything else that passes."""
    link.connect(gone)
    original, failures = getattr(Spool, method), iter([True] * 2)

    def failing(spool: Spool, *arguments: Any) -> None:
        if next(failures, False):
            raise SpoolFullError("There is no room for another step.")
        original(spool, *arguments)

    monkeypatch.setattr(Spool, method, failing)
    learner.stop()
    send(link, episode(0))
    until(lambda: link.counters.failures, "a try")
    learner.start()
    send(link, episode(1))
    assert link.flush(LONG_S)
    assert learner.kept == keys([episode(0), episode(1)])


def test_leaving_does_not_wait_for_a_learner_that_is_gone(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.stop()
    send(link, episode(0))
    link.stop()
    with contextlib.closing(sqlite3.connect(link._spool.path)) as database:
        assert database.execute("SELECT count(*) FROM entries").fetchone() == (4,)


def test_a_damaged_spool_is_told_at_the_next_send(learner: ToyLearner, link: RemoteLearner) -> None:
    link.connect(gone)
    learner.busy = UnreachableError("Not now.")
    send(link, episode(0))
    with contextlib.closing(sqlite3.connect(link._spool.path)) as database, database:
        database.execute("UPDATE entries SET payload = x'00' WHERE number = 2")
    learner.busy = None
    until(lambda: link._failure is not None, "the damage")
    with pytest.raises(HilserlError, match="Entry 2 of the spool"):
        link.send(episode(1)[0])


def test_many_actors_at_once_arrive_apart(tmp_path: Path, learner: ToyLearner) -> None:
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(linked(tmp_path / f"actor{n}", learner.spec, learner.address)) for n in range(5)]
        begins = [link.connect(gone).next_episode for link in links]
        for offset in range(6):
            for link, begin in zip(links, begins, strict=True):
                send(link, episode(begin + offset))
            if offset == 3:
                learner.stop()
                learner.start()
        assert all(link.flush(LONG_S) for link in links)
        until(lambda: links[0].actors == 5, "all five to be known", 10.0)
    assert begins == [n * EPISODES_PER_ACTOR for n in range(5)]
    assert learner.kept == keys([episode(begin + offset) for begin in begins for offset in range(6)])


def test_a_step_of_a_closed_link_is_refused(link: RemoteLearner) -> None:
    link.connect(gone)
    link.close()
    with pytest.raises(HilserlError):
        link.send(make_step(0, 0, camera=False))
