"""Encoding of steps as compressed Arrow record batches with a checksum.

An actor encodes a step once; the same bytes wait on its disk, travel, and wait on the learner's disk.
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from hilserl.data.arrow import METADATA_KEY, arrow_schema, rows_to_steps, to_table
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError

_CHECKSUM_BYTES = 4
_LZ4 = pa.Codec("lz4_raw")
_FINITE_COLUMNS = ("action", "observation.state", "reward", "human_seconds")


class StepCodecError(HilserlError):
    """Bytes, or a step, that do not fit the expected layout."""


class StepCodec:
    """Conversion between a step and its bytes.

    The bytes are a CRC-32 and an LZ4 block; the block holds an Arrow record batch of one row. Every column has a fixed
    size, so the uncompressed length is known, and `decode` never allocates more than that.

    Args:
        spec: Layout of state, action and images.
        features: Shapes of encoded images (float16) that travel with a step, by their name in an observation.
    """

    def __init__(self, spec: ExperienceSpec, features: Mapping[str, tuple[int, ...]] | None = None) -> None:
        self.spec, self.features = spec, dict(features or {})
        self.schema = arrow_schema(spec)
        for name, shape in self.features.items():
            kind = pa.fixed_shape_tensor(pa.float16(), shape)
            self.schema = self.schema.append(pa.field(f"observation.{name}", kind, nullable=False))
        self.layout: bytes = self.schema.serialize().to_pybytes()
        """Serialized schema; equal for two codecs that read each other's bytes."""
        self.step_bytes = self._batch(self._zero_step()).serialize().size
        """Length of an encoded step before compression."""

    def _zero_step(self) -> Step:
        observation = {"state": np.zeros(self.spec.state.size, np.float32)}
        observation |= {name: np.zeros(shape, np.uint8) for name, shape in self.spec.images}
        observation |= {name: np.zeros(shape, np.float16) for name, shape in self.features.items()}
        return Step(0, 0, observation, np.zeros(self.spec.action.size, np.float32))

    def encode(self, step: Step) -> bytes:
        """Encode one step.

        Raises:
            HilserlError: The step does not fit the layout, or holds a number that no step may have.
        """
        batch = self._batch(step)
        _check_numbers(batch)
        packed = _LZ4.compress(batch.serialize(), asbytes=True)
        return zlib.crc32(packed).to_bytes(_CHECKSUM_BYTES) + packed

    def _batch(self, step: Step) -> pa.RecordBatch:
        columns = to_table([step], self.spec).to_batches()[0].columns
        return pa.RecordBatch.from_arrays([*columns, *self._feature_columns(step)], schema=self.schema)

    def _feature_columns(self, step: Step) -> list[pa.Array]:
        columns = []
        for name, shape in self.features.items():
            values = step.observation.get(name)
            if values is None or values.shape != shape or values.dtype != np.float16:
                found = "no value" if values is None else f"{values.dtype} {values.shape}"
                raise StepCodecError(f"Invalid features {name!r}: got {found}, expected float16 {shape}.")
            kind = self.schema.field(f"observation.{name}").type
            storage = pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.size)
            columns.append(pa.ExtensionArray.from_storage(kind, storage))
        return columns

    def check(self, payload: Any) -> None:
        """Raise StepCodecError unless the checksum of the payload is right."""
        try:
            view = memoryview(payload)
        except TypeError as error:
            raise StepCodecError(f"The step is damaged: {error}.") from error
        if zlib.crc32(view[_CHECKSUM_BYTES:]).to_bytes(_CHECKSUM_BYTES) != bytes(view[:_CHECKSUM_BYTES]):
            raise StepCodecError("The step is damaged: its checksum is wrong.")

    def decode(self, payloads: Sequence[Any]) -> list[Step]:
        """Decode steps; each payload is a buffer that `encode` made.

        Raises:
            StepCodecError: A payload is damaged, or holds a value that no step may have.
        """
        if not payloads:
            return []
        try:
            batches = [self._unpack(payload) for payload in payloads]
            batch = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
            batch.validate(full=True)
            _check_whole(batch)
            steps = rows_to_steps(batch, self.spec)
        except (pa.ArrowException, OSError, TypeError, ValueError) as error:
            raise StepCodecError(f"The steps cannot be read: {error}") from error
        _check_numbers(batch)
        self._add_features(batch, steps)
        return steps

    def _unpack(self, payload: Any) -> pa.RecordBatch:
        self.check(payload)
        packed = pa.py_buffer(payload)[_CHECKSUM_BYTES:]
        batch = pa.ipc.read_record_batch(_LZ4.decompress(packed, self.step_bytes), self.schema)
        if batch.num_rows != 1:
            raise StepCodecError(f"The steps cannot be read: a payload holds {batch.num_rows} rows, expected 1.")
        return batch

    def _add_features(self, batch: pa.RecordBatch, steps: Sequence[Step]) -> None:
        for name, shape in self.features.items():
            flat = batch.column(f"observation.{name}").storage.flatten().to_numpy(zero_copy_only=False)
            if not np.isfinite(flat).all():
                raise StepCodecError(f"Invalid features {name!r}: every number must be finite.")
            for step, values in zip(steps, flat.reshape(-1, *shape), strict=True):
                step.observation[name] = values

    def check_layout(self, layout: bytes | None) -> None:
        """Raise StepCodecError, showing both sides, unless the layout is this codec's."""
        if layout == self.layout:
            return
        try:
            found = pa.ipc.read_schema(pa.py_buffer(layout or b""))
        except (pa.ArrowException, OSError) as error:
            raise StepCodecError(f"The layout of the steps cannot be read: {error}") from error
        ours, theirs = (
            "; ".join(f"{f.name}: {f.type}" for f in schema if f not in other) or "the same columns"
            for schema, other in ((self.schema, found), (found, self.schema))
        )
        described = (found.metadata or {}).get(METADATA_KEY, b"{}").decode(errors="replace")
        specs = shown_differences(spec_differences(self.spec.to_json(), described))
        raise StepCodecError(
            f"The steps have another layout than those of task {self.spec.task!r}. Expected: {ours}. Found: {theirs}. "
            f"Differences: {specs}."
        )


def spec_differences(here: str, there: str) -> dict[str, tuple[Any, Any]]:
    """Compare two `ExperienceSpec.to_json`, field by field.

    Raises:
        StepCodecError: One of them cannot be read.
    """
    try:
        sides = [msgspec.json.decode(side, type=dict[str, Any]) for side in (here, there)]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StepCodecError(f"The description of the steps cannot be read: {error}") from error
    return {name: (sides[0].get(name), sides[1].get(name)) for name in sorted(sides[0].keys() | sides[1].keys())}


def shown_differences(pairs: Mapping[str, tuple[Any, Any]]) -> str:
    """Format the pairs that differ as one line of text."""
    return "; ".join(f"{name}: here {a!r}, there {b!r}" for name, (a, b) in pairs.items() if a != b)


def _check_whole(batch: pa.RecordBatch) -> None:
    """Raise StepCodecError if a value is missing, which Arrow does not check."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        storage = column.storage if isinstance(column, pa.ExtensionArray) else column
        inner = storage.values.null_count if pa.types.is_fixed_size_list(storage.type) else 0
        if storage.null_count or inner:
            raise StepCodecError(f"{name} has a missing value.")


def _check_numbers(batch: pa.RecordBatch) -> None:
    """Raise StepCodecError for a number that no step may have."""
    for name in _FINITE_COLUMNS:
        column = batch.column(name)
        flat = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
        values = flat.to_numpy(zero_copy_only=False)
        if not np.isfinite(values).all():
            raise StepCodecError(f"{name} holds {values[~np.isfinite(values)][0]}; every number must be finite.")
        if name == "action" and np.abs(values).max(initial=0) > 1:
            raise StepCodecError(f"An action of {values[np.abs(values).argmax()]}; actions lie in [-1, 1].")
