"""An encoded step comes back as it was, or is refused with a reason."""

import dataclasses
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hilserl.data.arrow import to_table
from hilserl.data.spec import ExperienceSpec, StateLayout, entry
from hilserl.data.step import Step
from hilserl.data.step_codec import StepCodec, StepCodecError
from tests.support.loopback import key
from tests.support.steps import make_episode, make_step

FEATURES = {"eye.features": (4, 2, 3)}


def with_features(steps: list[Step]) -> list[Step]:
    """Add features that differ from step to step."""
    numbers = np.arange(24, dtype=np.float16).reshape(4, 2, 3)
    return [
        dataclasses.replace(step, observation={**step.observation, "eye.features": numbers + step.index})
        for step in steps
    ]


def encoded(codec: StepCodec, steps: list[Step]) -> list[bytes]:
    return [codec.encode(step) for step in steps]


def sealed(batch: pa.RecordBatch) -> bytes:
    """Seal a row as a codec does, but unchecked."""
    packed = pa.Codec("lz4_raw").compress(batch.serialize(), asbytes=True)
    return zlib.crc32(packed).to_bytes(4) + packed


def pixels(step: Step) -> bytes:
    return step.observation["eye"].tobytes() if "eye" in step.observation else b""


def same(a: list[Step], b: list[Step]) -> bool:
    return [(*key(s), s.policy_version, s.human_seconds, s.seed) for s in a] == [
        (*key(s), s.policy_version, s.human_seconds, s.seed) for s in b
    ] and all(pixels(x) == pixels(y) for x, y in zip(a, b, strict=True))


def toy_steps(*, camera: bool = True) -> list[Step]:
    return [
        make_step(1, index, camera=camera, reward=0.5, human_seconds=0.1, policy_version=7, seed=3, success=index == 2)
        for index in (1, 2)
    ]


def damaged(payload: bytes) -> Iterator[bytes]:
    """A bit, half a byte or a byte of it turned, or its end missing."""
    rng = np.random.default_rng(0)
    for position in rng.permutation(len(payload))[:1200]:
        for mask in (rng.choice([0x01, 0x10, 0x80, 0xFF]),):
            yield payload[:position] + bytes([payload[position] ^ mask]) + payload[position + 1 :]
    for length in rng.permutation(len(payload))[:300]:
        yield payload[:length]
    yield from (b"", payload[:1], payload[:-1], bytes(len(payload)), payload[8:], b"\xff" * 64)


def changed(batch: pa.RecordBatch, name: str, values: Any) -> pa.RecordBatch:
    """The batch with another column in the place of its own, of the same type."""
    kind = batch.schema.field(name).type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.ExtensionArray.from_storage(kind, pa.array(values, kind.storage_type))
    else:
        column = pa.array(values, kind)
    columns = [column if field.name == name else batch.column(field.name) for field in batch.schema]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


@pytest.mark.parametrize("camera", [True, False])
@pytest.mark.parametrize("count", [1, 2, 256])
def test_steps_come_back_as_they_were(
    spec: ExperienceSpec, state_spec: ExperienceSpec, camera: bool, count: int
) -> None:
    steps, codec = make_episode(3, count, camera=camera)[:count], StepCodec(spec if camera else state_spec)
    payloads = encoded(codec, steps)
    assert same(codec.decode(payloads), steps)
    assert same(codec.decode([pa.py_buffer(payload) for payload in payloads]), steps)


def test_features_come_back_as_they_were(spec: ExperienceSpec) -> None:
    steps, codec = with_features(make_episode(3, 5)), StepCodec(spec, FEATURES)
    found = codec.decode(encoded(codec, steps))
    assert same(found, steps)
    for step, again in zip(steps, found, strict=True):
        assert again.observation["eye.features"].dtype == np.float16
        np.testing.assert_array_equal(again.observation["eye.features"], step.observation["eye.features"])


def test_encoded_steps_of_a_layout_have_one_size(spec: ExperienceSpec) -> None:
    codec, rng = StepCodec(spec), np.random.default_rng(0)
    for index in range(200):
        flags = rng.random(6) < 0.5
        step = make_step(int(rng.integers(2**40)), index, float(rng.normal() * 100))
        step = dataclasses.replace(
            step,
            terminated=bool(flags[0]),
            success=bool(flags[1]),
            seed=int(rng.integers(2**62)),
            action=0 * step.action,
        )
        assert len(pa.Codec("lz4_raw").decompress(codec.encode(step)[4:], codec.step_bytes)) == codec.step_bytes
        assert same(codec.decode([codec.encode(step)]), [step])


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "no value"),
        (np.zeros((4, 2, 2), np.float16), r"float16 \(4, 2, 2\)"),
        (np.zeros((4, 2, 3), np.float32), r"float32 \(4, 2, 3\)"),
    ],
)
def test_encode_refuses_features_that_do_not_fit(spec: ExperienceSpec, value: np.ndarray | None, found: str) -> None:
    step = make_step(1, 0)
    if value is not None:
        step.observation["eye.features"] = value
    with pytest.raises(
        StepCodecError, match=rf"Invalid features 'eye.features': got {found}, expected float16 \(4, 2, 3\)"
    ):
        StepCodec(spec, FEATURES).encode(step)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_decode_refuses_features_that_are_not_finite(spec: ExperienceSpec, number: float) -> None:
    codec, (step,) = StepCodec(spec, FEATURES), with_features([make_step(1, 0)])
    step.observation["eye.features"][0, 0, 0] = number
    with pytest.raises(StepCodecError, match=r"'eye\.features': every number must be finite"):
        codec.decode([codec.encode(step)])


@pytest.mark.parametrize("features", [{}, FEATURES])
def test_damaged_steps_are_told_from_whole_ones(spec: ExperienceSpec, features: dict[str, tuple[int, ...]]) -> None:
    """A disk that turns one bit must not teach the learner something that did not happen."""
    codec, (step, _) = StepCodec(spec, features), with_features(toy_steps())
    outcomes: dict[str, int] = {}
    for payload in damaged(codec.encode(step)):
        try:
            outcome = "the same" if same(codec.decode([payload]), [step]) else "OTHER STEPS"
        except StepCodecError:
            outcome = "refused"
        except Exception as error:  # noqa: BLE001 - which is what must not happen
            outcome = f"{type(error).__name__}: {error}"
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    assert outcomes.keys() <= {"the same", "refused"}, outcomes


def test_steps_of_another_spec_are_refused(spec: ExperienceSpec, state_spec: ExperienceSpec) -> None:
    codec = StepCodec(spec)
    for other in (state_spec, dataclasses.replace(spec, task="other"), dataclasses.replace(spec, control_dt_s=0.2)):
        with pytest.raises(StepCodecError, match="toy"):
            StepCodec(other).check_layout(codec.layout)


def test_layout_that_does_not_fit_is_refused_with_both_sides_shown(spec: ExperienceSpec) -> None:
    codec = StepCodec(spec)
    codec.check_layout(StepCodec(spec).layout)
    wide = StateLayout((entry("position_m", 3), entry("gripper_command", 1)))
    for other, here, there in (
        (StepCodec(dataclasses.replace(spec, state=wide)), r"observation\.state.*\[3\]", r"observation\.state.*\[4\]"),
        (StepCodec(dataclasses.replace(spec, images=())), r"observation\.eye", "Found"),
        (StepCodec(dataclasses.replace(spec, images=(("eye", (2, 2, 3)),))), r"shape=\[2,3,3\]", r"shape=\[2,2,3\]"),
        (StepCodec(dataclasses.replace(spec, task="other")), "toy", "other"),
        (StepCodec(spec, FEATURES), "the same columns", r"eye\.features"),
    ):
        with pytest.raises(StepCodecError, match=f"(?s)Expected.*{here}.*Found.*{there}|{here}.*{there}"):
            codec.check_layout(other.layout)
    schema = codec.schema
    for changed_schema in (pa.schema([]), schema.remove(3), schema.remove_metadata(), pa.schema(list(schema)[::-1])):
        with pytest.raises(StepCodecError):
            codec.check_layout(changed_schema.serialize().to_pybytes())
    for junk in (None, b"", b"junk", b"\xff" * 64):
        with pytest.raises(StepCodecError, match="layout"):
            codec.check_layout(junk)


def sealed_row(spec: ExperienceSpec, name: str, values: Any) -> bytes:
    """Seal a step with another value in one column."""
    return sealed(changed(to_table([toy_steps()[0]], spec).to_batches()[0], name, values))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["action", "observation.state", "reward", "human_seconds"])
def test_number_that_is_not_finite_is_refused_by_name(spec: ExperienceSpec, name: str, number: float) -> None:
    codec = StepCodec(spec)
    said = {"action": "action gripper", "observation.state": r"state entry \w+\[\d\]"}.get(name, name)
    (value,) = to_table([toy_steps()[0]], spec)[name].to_pylist()
    value = [0.0] * (len(value) - 1) + [number] if isinstance(value, list) else number
    with pytest.raises(StepCodecError, match=rf"{said} is {number}; expected"):
        codec.decode([*encoded(codec, toy_steps()), sealed_row(spec, name, [value])])


@pytest.mark.parametrize("number", [1.0, -1.0, 0.0])
def test_action_at_its_limit_is_taken(spec: ExperienceSpec, number: float) -> None:
    (step,) = StepCodec(spec).decode([sealed_row(spec, "action", [[number, number]])])
    assert step.action.tolist() == [number, number]


@pytest.mark.parametrize("number", [1.0001, -1.0001, 3e38])
def test_action_beyond_its_limit_is_refused(spec: ExperienceSpec, number: float) -> None:
    with pytest.raises(StepCodecError, match=r"\[-1, 1\]"):
        StepCodec(spec).decode([sealed_row(spec, "action", [[0.0, number]])])


def test_missing_value_is_refused_in_each_column(spec: ExperienceSpec) -> None:
    """The schema forbids it, but the bytes of a liar may have some."""
    batch, outcomes = to_table([toy_steps()[0]], spec).to_batches()[0], {}
    for name in batch.schema.names:
        try:
            StepCodec(spec).decode([sealed(changed(batch, name, [None]))])
            outcomes[name] = "taken"
        except StepCodecError:
            pass
        except Exception as error:  # noqa: BLE001 - which is what must not happen
            outcomes[name] = f"{type(error).__name__}: {error}"
    assert not outcomes


@pytest.mark.parametrize("camera", [True, False])
def test_encoded_step_is_a_record_batch_of_arrow(
    spec: ExperienceSpec, state_spec: ExperienceSpec, camera: bool
) -> None:
    codec = StepCodec(spec if camera else state_spec)
    for step in toy_steps(camera=camera):
        message = pa.Codec("lz4_raw").decompress(codec.encode(step)[4:], codec.step_bytes)
        batch = pa.ipc.read_record_batch(message, codec.schema)
        batch.validate(full=True)
        assert batch.equals(to_table([step], codec.spec).to_batches()[0])


def test_decode_refuses_another_number_of_rows(spec: ExperienceSpec) -> None:
    codec = StepCodec(spec)
    for steps in ([], toy_steps()):
        table = to_table(steps, spec) if steps else codec.schema.empty_table()
        batch = table.combine_chunks().to_batches()[0] if steps else pa.RecordBatch.from_pylist([], codec.schema)
        with pytest.raises(StepCodecError, match="cannot be read"):
            codec.decode([sealed(batch)])


def test_decode_of_no_payloads_has_no_steps(spec: ExperienceSpec) -> None:
    assert StepCodec(spec).decode([]) == []
