"""Every decoder of foreign bytes reads them or raises the one refusal, HilserlError.

`HILSERL_CASES=1000000` runs as many cases of each decoder.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hilserl.data.episodes import read_episode, write_episode
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout, entry
from hilserl.data.step_codec import StepCodec
from hilserl.distributed.protocol import (
    ActorReport,
    Hello,
    LogEntry,
    PutHeader,
    WeightsWanted,
    codec_of,
    decode,
    encode,
    pack_put,
    unpack_entries,
    unpack_put,
)
from hilserl.distributed.weights import Weights, pack_weights, unpack_weights
from hilserl.errors import HilserlError
from hilserl.robot.http import schemas
from hilserl.runs.checkpoint import read_state
from hilserl.runs.metrics import read_metrics
from hilserl.training.config_file import from_json, to_json
from tests.support.configs import train_config
from tests.support.steps import make_episode

CASES = int(os.environ.get("HILSERL_CASES", "150"))
SPEC = ExperienceSpec(
    "toy",
    StateLayout((entry("position_m", 2), entry("gripper_command", 1))),
    ActionLayout(("dx", "gripper"), grippers=(1,)),
    (("eye", (2, 3, 3)),),
)
CODEC = StepCodec(SPEC)
EPISODE = make_episode(1, 3)
STEP = CODEC.encode(EPISODE[1])
PUT = pack_put(PutHeader("a" * 32, 1, CODEC.layout), [LogEntry(1, 1, STEP), LogEntry(2, 1, None)])
WEIGHTS = pack_weights(Weights(1, 2, {"a": np.zeros((2, 3), np.float32), "b": np.ones(4, np.int32)}))
CONFIG = to_json(train_config("pick_cube")).encode()

many = settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    database=None,
)
texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
junk = st.binary(max_size=200) | texts.map(lambda value: json.dumps(value).encode())


def mutated(original: bytes) -> st.SearchStrategy[bytes]:
    """Bytes that are nearly right: some are turned, cut out or put in."""

    def change(edits: list[tuple[int, int, bytes]]) -> bytes:
        data = original
        for place, removed, added in edits:
            at = place % (len(data) + 1)
            data = data[:at] + added + data[at + removed :]
        return data

    edit = st.tuples(st.integers(0, 2**20), st.integers(0, 9), st.binary(max_size=9))
    return st.lists(edit, min_size=1, max_size=3).map(change)


def refusals_only(read: Callable[[], object]) -> None:
    """Read foreign bytes; anything but the one refusal fails the test."""
    with contextlib.suppress(HilserlError):
        read()


@given(junk)
@many
def test_messages_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    for kind in (Hello, ActorReport, WeightsWanted, PutHeader):
        refusals_only(lambda kind=kind: decode(data, kind))


def read_put(data: bytes) -> None:
    header, rest = unpack_put(data)
    codec = codec_of(header.layout, [CODEC])
    codec.decode([each.payload for each in unpack_entries(rest) if each.payload is not None])


@given(junk | mutated(PUT))
@many
def test_puts_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    refusals_only(lambda: read_put(data))


@given(junk | mutated(STEP))
@many
def test_steps_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    refusals_only(lambda: CODEC.decode([data]))


@given(junk | mutated(WEIGHTS))
@many
def test_weights_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    refusals_only(lambda: unpack_weights(data))


@given(junk | mutated(CONFIG))
@many
def test_configurations_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    refusals_only(lambda: from_json(data))


@given(junk | mutated(encode({"env_steps": 3, "sha256": "0", "evaluation": {"success_rate": 1.0}})))
@many
def test_checkpoints_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "state.json").write_bytes(data)
        refusals_only(lambda: read_state(Path(directory)))


@given(junk | mutated(b'{"kind": "episode", "env_steps": 3, "successes": 1}\n'))
@many
def test_metrics_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "metrics.jsonl").write_bytes(data)
        refusals_only(lambda: read_metrics(Path(directory) / "metrics.jsonl", "episode"))


@given(junk | mutated(b'{"arr": [0.4, 0, 0.3, 1, 0, 0, 0]}') | mutated(b'{"mass": 1, "reason": "x"}'))
@many
def test_bodies_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    bodies: list[Any] = [schemas.PoseBody, schemas.GripperBody, schemas.LoadBody, schemas.SceneBody, schemas.ReasonBody]
    for body in bodies:
        refusals_only(lambda body=body: schemas.decode(data, body))
    refusals_only(lambda: schemas.decode(data, schemas.PoseBody).pose())
    refusals_only(lambda: schemas.decode(data, schemas.LoadBody).load())
    assert schemas.stop_reason(data)


def episode_bytes() -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        write_episode(Path(directory) / "a.parquet", EPISODE, SPEC)
        return (Path(directory) / "a.parquet").read_bytes()


@given(junk | mutated(episode_bytes()))
@many
def test_episode_files_of_any_bytes_are_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "a.parquet"
        path.write_bytes(data)
        refusals_only(lambda: read_episode(path))


@given(st.floats(width=32) | st.sampled_from([0.0, 1.0]))
@many
def test_steps_with_any_number_are_encoded_or_refused(number: float) -> None:
    step = make_episode(1, 3)[1]
    step.observation["state"][1] = number
    refusals_only(lambda: CODEC.decode([CODEC.encode(step)]))
