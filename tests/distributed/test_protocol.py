"""A message comes back as it was sent, or is refused with a reason."""

import contextlib
import dataclasses
import json
from typing import Any

import pytest

from hilserl.data.spec import ExperienceSpec
from hilserl.data.step_codec import StepCodec, StepCodecError
from hilserl.distributed.protocol import (
    MAX_MESSAGE_BYTES,
    MAX_ROWS,
    ActorReport,
    Description,
    Hello,
    LearnerStatus,
    LogEntry,
    ProtocolError,
    PutHeader,
    Stored,
    WeightsWanted,
    Welcome,
    codec_of,
    decode,
    differences,
    encode,
    pack_entries,
    unpack_entries,
)
from hilserl.training.learner import LearnerFacts
from tests.support.loopback import hello_of

STREAM = "0123456789abcdef" * 2
MESSAGES = [
    Hello(STREAM, "bench", "{}", "none", "run"),
    Welcome("run", 3, 2, 17, 3_000_001, ((True, False), (False, True))),
    PutHeader(STREAM, 4, b"layout"),
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
def test_message_comes_back_as_it_was(message: Any) -> None:
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


COUNTS = {"number", "session", "stored", "next_episode", "upto"}


def wrong_values(name: str, value: Any) -> list[Any]:
    """Return values that cannot stand in a field."""
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
def test_wrong_type_or_size_in_any_field_is_refused(message: Any) -> None:
    whole = json.loads(encode(message))
    for name in whole:
        original = getattr(message, name)
        wrong = wrong_values(name, original) if not isinstance(original, LearnerFacts) else [None, [], "x", 3]
        for value in wrong:
            with pytest.raises(ProtocolError):
                decode(json.dumps({**whole, name: value}).encode(), type(message))


@pytest.mark.parametrize("message", MESSAGES, ids=kinds(MESSAGES))
def test_missing_field_is_refused_and_one_more_makes_no_difference(message: Any) -> None:
    whole = json.loads(encode(message))
    required = [f.name for f in dataclasses.fields(message) if f.default is f.default_factory is dataclasses.MISSING]
    assert required
    for name in required:
        with pytest.raises(ProtocolError, match=name):
            decode(json.dumps({k: v for k, v in whole.items() if k != name}).encode(), type(message))
    assert decode(json.dumps({**whole, "later_version": [1, {"a": None}]}).encode(), type(message)) == message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "nan", "null"])
def test_junk_number_is_refused(number: str) -> None:
    for text, kind in (
        (f'{{"stream": "{STREAM}", "numbers": {{"a": {number}}}}}', ActorReport),
        (f'{{"life": 0, "newer_than": 1, "within_s": {number}}}', WeightsWanted),
        (f'{{"upto": {number}}}', Stored),
        (f'{{"facts": {{"update_steps_per_s": {number}}}}}', LearnerStatus),
    ):
        with pytest.raises(ProtocolError):
            decode(text.encode(), kind)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_metric_that_is_not_finite_does_not_make_a_message_unreadable(value: float) -> None:
    """A loss may be NaN for a moment; that must not end an actor."""
    report = decode(encode(ActorReport(STREAM, numbers={"bad": value, "good": 1.0})), ActorReport)
    assert report.numbers["good"] == 1.0
    status = decode(encode(LearnerStatus(LearnerFacts(3, losses={"bad": value, "good": 1.0}))), LearnerStatus)
    assert (status.facts.update_steps, status.facts.losses["good"]) == (3, 1.0)


@pytest.mark.parametrize("stream", ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, "0" * 32 + "\n", "../" * 10 + "aa"])
def test_stream_is_thirty_two_hexadecimal_digits(stream: str) -> None:
    with pytest.raises(ProtocolError):
        decode(encode(PutHeader(stream, 1)), PutHeader)


def test_decode_does_not_parse_what_is_too_long() -> None:
    message = encode(Stored(1))
    assert decode(message.ljust(MAX_MESSAGE_BYTES), Stored) == Stored(1)
    with pytest.raises(ProtocolError, match=str(MAX_MESSAGE_BYTES)):
        decode(message.ljust(MAX_MESSAGE_BYTES + 1), Stored)


def test_differences_show_both_sides(spec: ExperienceSpec, state_spec: ExperienceSpec) -> None:
    ours = hello_of(spec)
    assert differences(ours, hello_of(spec, STREAM, name="elsewhere", run="other")) == ""
    assert differences(ours, hello_of(spec, protocol=7)) == "protocol: here 4, there 7"
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
def test_description_that_cannot_be_read_is_refused(spec: ExperienceSpec, experience: str) -> None:
    with pytest.raises(ProtocolError):
        differences(hello_of(spec), hello_of(spec, experience=experience))


def test_message_has_at_most_so_many_entries() -> None:
    entries = [LogEntry(1 + n, 0, b"") for n in range(MAX_ROWS + 1)]
    assert len(unpack_entries(pack_entries(entries[:MAX_ROWS]))) == MAX_ROWS
    with pytest.raises(ProtocolError, match=f"{MAX_ROWS + 1} steps.*{MAX_ROWS}"):
        unpack_entries(pack_entries(entries))


def test_entries_come_back_as_they_were() -> None:
    entries = [LogEntry(7, 3, b"one"), LogEntry(8, 3, None), LogEntry(9, 2**62, b"\0" * 1000), LogEntry(10, 4, b"")]
    found = unpack_entries(pack_entries(entries))
    assert [(e.number, e.episode, e.payload and bytes(e.payload)) for e in found] == [
        (e.number, e.episode, e.payload) for e in entries
    ]


def test_message_that_is_cut_or_turned_is_refused_or_has_the_same_sizes() -> None:
    message = pack_entries([LogEntry(7, 3, b"one"), LogEntry(8, 3, None), LogEntry(9, 4, b"\0" * 40)])
    for length in range(len(message)):
        with pytest.raises(ProtocolError):
            unpack_entries(message[:length])
    for position in range(len(message)):
        turned = bytearray(message)
        turned[position] ^= 0x81
        with contextlib.suppress(ProtocolError):
            assert sum(len(entry.payload or b"") for entry in unpack_entries(bytes(turned))) == 43


def test_codec_of_tells_steps_with_features_from_steps_without(spec: ExperienceSpec) -> None:
    with_features, plain = StepCodec(spec, {"eye.features": (4, 2, 2)}), StepCodec(spec)
    for codec in (with_features, plain):
        assert codec_of(codec.layout, [with_features, plain]) is codec
    with pytest.raises(StepCodecError, match=r"(?s)eye\.features.*\[4,2,2\].*eye\.features.*\[4,3,3\]"):
        codec_of(StepCodec(spec, {"eye.features": (4, 3, 3)}).layout, [with_features, plain])
    for junk in (b"", b"junk", plain.layout[:-9]):
        with pytest.raises(StepCodecError, match="cannot be read"):
            codec_of(junk, [plain])
