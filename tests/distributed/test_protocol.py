"""What comes over a wire is what was sent, or is refused with a reason; nothing else ever happens."""

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hilserl.data.spec import ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.distributed.protocol import (
    MAX_MESSAGE_BYTES,
    MAX_ROWS,
    ActorReport,
    Description,
    EntryHeader,
    Hello,
    LearnerStatus,
    ProtocolError,
    PutHeader,
    Stored,
    WeightsWanted,
    Welcome,
    batch_of,
    by_episode,
    check_rows,
    check_schema,
    decode,
    differences,
    empty_batch,
    encode,
    pack,
    steps_in,
    unpack,
)
from hilserl.errors import HilserlError
from hilserl.training.learner import LearnerFacts
from tests.support.loopback import hello_of, key
from tests.support.steps import make_episode, make_step

STREAM = "0123456789abcdef" * 2
MESSAGES = [
    Hello(STREAM, "bench", "{}", "none", "run"),
    Welcome("run", 3, 2, 17, 3_000_001, ((True, False), (False, True))),
    PutHeader(STREAM, 4),
    EntryHeader(9, 12, more=True),
    Stored(2**62),
    ActorReport(STREAM, numbers={"steps": 3.0, "late": 0.0}, leaving=True),
    LearnerStatus(LearnerFacts(5, 2.5, 3, 4, {"loss": -0.5}), 2, "solved"),
    Description("run", "toy", "{}", LearnerFacts(), 1),
    WeightsWanted(0, -1, 0.5),
]
DEEP = 100_000
"""Brackets within brackets; more than any parser's stack takes."""


def kinds(messages: list[Any]) -> list[str]:
    return [type(message).__name__ for message in messages]


@pytest.mark.parametrize("message", MESSAGES, ids=kinds(MESSAGES))
def test_a_message_comes_back_as_it_was(message: Any) -> None:
    assert decode(encode(message), type(message)) == message
    assert decode(memoryview(encode(message)), type(message)) == message


JUNK = [
    b"",
    b"\0",
    b"{",
    b"[]",
    b"{}",
    b"null",
    b"1",
    b'"text"',
    b"\xff\xfe\xfd",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94.",
    b'{"stream": "' + b"\xff" * 32 + b'"}',
    b"[" * DEEP,
    b'{"unknown": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    b'{"unknown": ' + b'{"a":' * (DEEP // 4),
]


@pytest.mark.parametrize("message", MESSAGES, ids=kinds(MESSAGES))
@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_is_refused(message: Any, junk: bytes) -> None:
    with pytest.raises(ProtocolError, match=type(message).__name__):
        decode(junk, type(message))


COUNTS = {"number", "session", "stored", "next_episode", "first", "discard", "upto"}


def wrong_values(name: str, value: Any) -> list[Any]:
    """What cannot stand where this stands."""
    if isinstance(value, bool):
        return ["yes", 1, None, []]
    if isinstance(value, int):
        return ["5", 1.5, True, [1], {}] + [-2, 2**63, 2**70] * (name in COUNTS)
    if isinstance(value, float):
        return ["1", None, -0.5, 1e6, [], True]
    if isinstance(value, str):
        return [5, None, ["a"], {}, "x" * 300_000]
    if isinstance(value, dict):
        return [[], "x", 1, {"a": "b"}, {"a": None}, {"x" * 300_000: 1}]
    return ["x", 1, [[1, 2]], [[True]], [[True, False, True]], [True]]


@pytest.mark.parametrize("message", MESSAGES, ids=kinds(MESSAGES))
def test_a_wrong_type_or_size_in_any_field_is_refused(message: Any) -> None:
    whole = json.loads(encode(message))
    for name in whole:
        original = getattr(message, name)
        wrong = wrong_values(name, original) if not isinstance(original, LearnerFacts) else [None, [], "x", 3]
        for value in wrong:
            with pytest.raises(ProtocolError):
                decode(json.dumps({**whole, name: value}).encode(), type(message))


@pytest.mark.parametrize("message", MESSAGES, ids=kinds(MESSAGES))
def test_a_missing_field_is_refused_and_one_more_makes_no_difference(message: Any) -> None:
    whole = json.loads(encode(message))
    required = [f.name for f in dataclasses.fields(message) if f.default is f.default_factory is dataclasses.MISSING]
    assert required
    for name in required:
        with pytest.raises(ProtocolError, match=name):
            decode(json.dumps({k: v for k, v in whole.items() if k != name}).encode(), type(message))
    assert decode(json.dumps({**whole, "later_version": [1, {"a": None}]}).encode(), type(message)) == message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "nan", "null"])
def test_what_is_no_number_is_refused(number: str) -> None:
    for text, kind in (
        (f'{{"stream": "{STREAM}", "numbers": {{"a": {number}}}}}', ActorReport),
        (f'{{"life": 0, "newer_than": 1, "within_s": {number}}}', WeightsWanted),
        (f'{{"upto": {number}}}', Stored),
        (f'{{"facts": {{"update_steps_per_s": {number}}}}}', LearnerStatus),
    ):
        with pytest.raises(ProtocolError):
            decode(text.encode(), kind)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_does_not_make_a_message_unreadable(value: float) -> None:
    """A loss may be NaN for a moment; that must not end an actor."""
    report = decode(encode(ActorReport(STREAM, numbers={"bad": value, "good": 1.0})), ActorReport)
    assert report.numbers["good"] == 1.0
    status = decode(encode(LearnerStatus(LearnerFacts(3, losses={"bad": value, "good": 1.0}))), LearnerStatus)
    assert (status.facts.update_steps, status.facts.losses["good"]) == (3, 1.0)


@pytest.mark.parametrize("stream", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 32 + "\n", "../" * 10 + "aa"])
def test_a_stream_is_thirty_two_hexadecimal_digits(stream: str) -> None:
    with pytest.raises(ProtocolError):
        decode(encode(PutHeader(stream, 1)), PutHeader)


def test_what_is_too_long_is_not_even_parsed() -> None:
    message = encode(Stored(1))
    assert decode(message.ljust(MAX_MESSAGE_BYTES), Stored) == Stored(1)
    with pytest.raises(ProtocolError, match=str(MAX_MESSAGE_BYTES)):
        decode(message.ljust(MAX_MESSAGE_BYTES + 1), Stored)


def test_differences_show_both_sides(spec: ExperienceSpec, state_spec: ExperienceSpec) -> None:
    ours = hello_of(spec)
    assert differences(ours, hello_of(spec, STREAM, name="elsewhere", run="other")) == ""
    assert differences(ours, hello_of(spec, protocol=7)) == "protocol: here 1, there 7"
    assert "version: here " in differences(ours, hello_of(spec, version="9.9"))
    assert differences(ours, hello_of(spec, encoder="resnet")) == "encoder: here 'none', there 'resnet'"
    different = differences(ours, hello_of(dataclasses.replace(state_spec, task="other", control_dt_s=0.05)))
    for part in (
        "task: here 'toy', there 'other'",
        "images: here [['eye'",
        "there []",
        "control_dt_s: here 0.1, there",
    ):
        assert part in different


@pytest.mark.parametrize(
    "experience", ["", "[]", "null", "{", "7", '{"task": NaN}', '{"a": ' + "[" * DEEP + "]" * DEEP + "}"]
)
def test_a_description_that_cannot_be_read_is_refused(spec: ExperienceSpec, experience: str) -> None:
    with pytest.raises(ProtocolError):
        differences(hello_of(spec), hello_of(spec, experience=experience))


# Steps.


def same(a: list[Step], b: list[Step]) -> bool:
    return [(*key(s), s.policy_version, s.human_seconds, s.seed) for s in a] == [
        (*key(s), s.policy_version, s.human_seconds, s.seed) for s in b
    ] and all(np.array_equal(x.observation.get("eye"), y.observation.get("eye")) for x, y in zip(a, b, strict=True))


def toy_steps(*, camera: bool = True) -> list[Step]:
    return [
        make_step(1, index, camera=camera, reward=0.5, human_seconds=0.1, policy_version=7, seed=3, success=index == 2)
        for index in (1, 2)
    ]


@pytest.mark.parametrize("camera", [True, False])
@pytest.mark.parametrize("count", [1, 2, MAX_ROWS])
def test_steps_come_back_as_they_were(
    spec: ExperienceSpec, state_spec: ExperienceSpec, camera: bool, count: int
) -> None:
    steps, spec = make_episode(3, count, camera=camera)[:count], spec if camera else state_spec
    assert same(unpack(bytes(pack(batch_of(steps, spec))), spec), steps)
    assert same(steps_in(batch_of(steps, spec), spec), steps)


def test_a_part_of_a_batch_packs_that_part_alone(spec: ExperienceSpec) -> None:
    steps = make_episode(3, 40)
    packed = pack(batch_of(steps, spec).slice(7, 2))
    assert same(unpack(bytes(packed), spec), steps[7:9])
    assert len(packed) < 1.1 * len(pack(batch_of(steps[7:9], spec)))


def damaged(payload: bytes) -> Iterator[bytes]:
    """A bit, half a byte or a byte of it turned, or its end missing."""
    rng = np.random.default_rng(0)
    for position in rng.permutation(len(payload))[:1200]:
        for mask in (rng.choice([0x01, 0x10, 0x80, 0xFF]),):
            yield payload[:position] + bytes([payload[position] ^ mask]) + payload[position + 1 :]
    for length in rng.permutation(len(payload))[:300]:
        yield payload[:length]
    yield from (b"", payload[:1], payload[:-1], bytes(len(payload)), payload[8:], b"\xff" * 64)


def test_damaged_steps_are_told_from_whole_ones(spec: ExperienceSpec) -> None:
    """A disk that turns one bit must not teach the learner something that did not happen."""
    steps = toy_steps()
    outcomes: dict[str, int] = {}
    for payload in damaged(bytes(pack(batch_of(steps, spec)))):
        try:
            outcome = "the same" if same(unpack(payload, spec), steps) else "OTHER STEPS"
        except HilserlError:
            outcome = "refused"
        except Exception as error:  # noqa: BLE001 - which is what must not happen
            outcome = f"{type(error).__name__}: {error}"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes.keys() <= {"the same", "refused"}, outcomes


def test_steps_of_another_spec_are_refused(spec: ExperienceSpec, state_spec: ExperienceSpec) -> None:
    packed = bytes(pack(batch_of(toy_steps(), spec)))
    for other in (state_spec, dataclasses.replace(spec, task="other"), dataclasses.replace(spec, control_dt_s=0.2)):
        with pytest.raises(HilserlError, match="toy"):
            unpack(packed, other)


def test_columns_that_do_not_fit_are_refused_with_both_sides_shown(spec: ExperienceSpec) -> None:
    schema = empty_batch(spec).schema
    check_schema(schema, spec)
    wide = StateLayout((entry("position_m", 3), entry("gripper_command", 1)))
    for other, here, there in (
        (dataclasses.replace(spec, state=wide), r"observation\.state.*\[3\]", r"observation\.state.*\[4\]"),
        (dataclasses.replace(spec, images=()), r"observation\.eye", "Sent"),
        (dataclasses.replace(spec, images=(("eye", (2, 2, 3)),)), r"shape=\[2,3,3\]", r"shape=\[2,2,3\]"),
        (dataclasses.replace(spec, task="other"), "toy", "other"),
    ):
        with pytest.raises(ProtocolError, match=f"(?s)Expected.*{here}.*Sent.*{there}|{here}.*{there}"):
            check_schema(empty_batch(other).schema, spec)
    for other_schema in (pa.schema([]), schema.remove(3), schema.remove_metadata(), pa.schema(list(schema)[::-1])):
        with pytest.raises(ProtocolError):
            check_schema(other_schema, spec)


def changed(batch: pa.RecordBatch, name: str, values: Any) -> pa.RecordBatch:
    """The batch with another column in the place of its own, of the same type."""
    kind = batch.schema.field(name).type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    else:
        column = pa.array(values, kind)
    columns = [column if field.name == name else batch.column(field.name) for field in batch.schema]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["action", "observation.state", "reward", "human_seconds"])
@pytest.mark.parametrize("row", [0, 1])
def test_a_number_that_is_not_finite_is_refused_by_name(
    spec: ExperienceSpec, name: str, number: float, row: int
) -> None:
    batch = batch_of(toy_steps(), spec)
    values = batch.column(name).to_pylist()
    if isinstance(values[row], list):
        values[row] = [0.0] * (len(values[row]) - 1) + [number]
    else:
        values[row] = number
    with pytest.raises(ProtocolError, match=f"{name} holds {number}"):
        steps_in(changed(batch, name, values), spec)


@pytest.mark.parametrize("number", [1.0, -1.0, 0.0])
def test_an_action_at_its_limit_is_taken(spec: ExperienceSpec, number: float) -> None:
    batch = changed(batch_of(toy_steps(), spec), "action", [[0.0, number], [number, number]])
    assert steps_in(batch, spec)[1].action.tolist() == [number, number]


@pytest.mark.parametrize("number", [1.0001, -1.0001, 3e38])
def test_an_action_beyond_its_limit_is_refused(spec: ExperienceSpec, number: float) -> None:
    batch = changed(batch_of(toy_steps(), spec), "action", [[0.0, 0.0], [0.0, number]])
    with pytest.raises(ProtocolError, match=r"\[-1, 1\]"):
        steps_in(batch, spec)


def test_a_missing_value_is_refused_wherever_it_is(spec: ExperienceSpec) -> None:
    """The schema says that there are none, but what is sent under it may have some."""
    batch, outcomes = batch_of(toy_steps(), spec), {}
    for name in batch.schema.names:
        column = batch.column(name)
        values = (column.storage if isinstance(column, pa.ExtensionArray) else column).to_pylist()
        sunk = changed(batch, name, [values[0], None])
        try:
            steps_in(sunk, spec)
            outcomes[name] = "taken"
        except ProtocolError:
            pass
        except Exception as error:  # noqa: BLE001 - which is what must not happen
            outcomes[name] = f"{type(error).__name__}: {error}"
    assert not outcomes


def test_an_empty_batch_has_no_steps(spec: ExperienceSpec) -> None:
    assert steps_in(empty_batch(spec), spec) == []


def test_at_most_so_many_steps_come_in_one_message(spec: ExperienceSpec) -> None:
    steps = make_episode(1, MAX_ROWS)
    check_rows(batch_of(steps[:MAX_ROWS], spec))
    with pytest.raises(ProtocolError, match=f"{MAX_ROWS + 1} steps.*{MAX_ROWS}"):
        check_rows(batch_of(steps, spec))


def test_steps_are_kept_together_by_episode() -> None:
    steps = [*make_episode(3, 4), *make_episode(5, 1), make_step(8, 0)]
    assert [[s.episode for s in part] for part in by_episode(steps)] == [[3] * 5, [5] * 2, [8]]
    assert list(by_episode([])) == []
