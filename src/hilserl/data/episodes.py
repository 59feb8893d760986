"""Episodes on disk, one Parquet file for each.

Images are PNG files in a struct of bytes and path, as the library `datasets` of Hugging Face stores them, so that its
tools show them as images.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hilserl.data.arrow import METADATA_KEY, arrow_schema, from_table, to_table
from hilserl.data.png import decode_image, encode_png
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.files import atomically

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""Type of an image: bytes and name of a PNG file."""
_FORMAT_KEY, _CHECKSUM_KEY = b"hilserl.episode_format", b"hilserl.spec_crc32"
_FORMAT = b"4"
"""Format of the files that are written. Format 3 has images as tensors of pixels and no key of its format."""
_NO_CAMERAS = ExperienceSpec("", StateLayout(()), ActionLayout(()))
_CORRUPT = (pa.ArrowException, OSError, KeyError, TypeError, ValueError)


@lru_cache(maxsize=16)
def episode_schema(spec: ExperienceSpec) -> pa.Schema:
    """Make the schema of a spec's episode files."""
    schema = arrow_schema(spec)
    columns = image_columns(spec)
    for name in columns.values():
        schema = schema.set(schema.get_field_index(name), pa.field(name, IMAGE))
    text = spec.to_json().encode()
    return schema.with_metadata(
        {
            METADATA_KEY: text,
            _FORMAT_KEY: _FORMAT,
            _CHECKSUM_KEY: b"%08x" % zlib.crc32(text),
            **huggingface_metadata(columns.values()),
        }
    )


def image_columns(spec: ExperienceSpec) -> dict[str, str]:
    """Return the column of each camera."""
    return {camera: f"observation.{camera}" for camera, _ in spec.images}


def huggingface_metadata(columns: Iterable[str]) -> dict[bytes, bytes]:
    """Make the schema metadata by which `datasets` shows columns as images."""
    features = {name: {"_type": "Image"} for name in columns}
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()} if features else {}


def image_array(images: Sequence[np.ndarray]) -> pa.StructArray:
    """Encode images, each uint8 [height, width, 3], as PNG files."""
    names = pa.array([f"{index:06d}.png" for index in range(len(images))])
    return pa.StructArray.from_arrays([pa.array(encode_png(images), pa.binary()), names], fields=list(IMAGE))


def _images(column: pa.ChunkedArray, camera: str, shape: tuple[int, int, int]) -> np.ndarray:
    """Decode a column of PNG files to uint8 [rows, height, width, 3]."""
    images = np.empty((len(column), *shape), np.uint8)
    for row, data in enumerate(column.combine_chunks().field("bytes").to_pylist()):
        image = decode_image(data)
        if image.shape != shape:
            raise HilserlError(f"Camera {camera!r} has an image of {image.shape} at step {row}, expected {shape}.")
        images[row] = image
    return images


def write_episode(path: Path, steps: Sequence[Step], spec: ExperienceSpec) -> None:
    """Write one episode to a file that is complete or absent."""
    table, schema = to_table(steps, spec), episode_schema(spec)
    for camera, name in image_columns(spec).items():
        at = schema.get_field_index(name)
        table = table.set_column(at, schema.field(at), image_array([step.observation[camera] for step in steps]))
    table = table.cast(schema)
    numbers: Any = [name for name in schema.names if name not in image_columns(spec).values()]

    def write(part: Path) -> None:
        # Statistics of an image column would be two whole images, and a dictionary a second copy of all.
        pq.write_table(
            table, part, compression="zstd", use_dictionary=numbers, write_statistics=numbers, write_page_checksum=True
        )

    atomically(path, write)


def episode_files(directory: Path) -> list[Path]:
    """List the episode files of a directory, in order.

    Raises:
        HilserlError: the directory does not exist.
    """
    if not directory.is_dir():
        raise HilserlError(f"There is no directory {directory} with recorded episodes.")
    return sorted(directory.glob("*.parquet"))


def read_episode(path: Path, *, images: bool = True) -> tuple[list[Step], ExperienceSpec]:
    """Read one episode's steps and their spec.

    Args:
        path: the file.
        images: with images; without them the spec has no cameras.

    Raises:
        HilserlError: the file is damaged, or is not a recorded episode.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = [name for name in file.schema_arrow.names if images or name in arrow_schema(_NO_CAMERAS).names]
            table = file.read(names)
        steps, spec = from_table(_with_pixels(table) if images else _without_images(table))
    except (HilserlError, *_CORRUPT) as error:
        raise HilserlError(f"Cannot read the episode file {path}: {error}") from error
    expected = list(range(len(steps)))
    if not steps or [s.index for s in steps] != expected or len({s.episode for s in steps}) != 1:
        raise HilserlError(f"The episode file {path} does not hold one whole episode in order.")
    return steps, spec


def read_episode_spec(path: Path) -> ExperienceSpec:
    """Read the spec of an episode file alone.

    Raises:
        HilserlError: the file is damaged, or is not a recorded episode.
    """
    try:
        return _spec_of(pq.read_schema(path))
    except (HilserlError, *_CORRUPT) as error:
        raise HilserlError(f"Cannot read the episode file {path}: {error}") from error


def _spec_of(schema: pa.Schema) -> ExperienceSpec:
    """Read the spec in a schema's metadata."""
    metadata = schema.metadata or {}
    if METADATA_KEY not in metadata:
        raise HilserlError(f"This table is not hilserl experience; its columns are {', '.join(schema.names)}.")
    text = metadata[METADATA_KEY]
    if _CHECKSUM_KEY in metadata and metadata[_CHECKSUM_KEY] != b"%08x" % zlib.crc32(text):
        raise HilserlError("Its spec is damaged: the checksum is wrong.")
    return ExperienceSpec.from_json(text)


def _without_images(table: pa.Table) -> pa.Table:
    """Leave the cameras out of the spec of a table without images."""
    return table.replace_schema_metadata(arrow_schema(_spec_of(table.schema).only(())).metadata)


def _with_pixels(table: pa.Table) -> pa.Table:
    """Decode the images of an episode file, so that `from_table` takes it."""
    spec = _spec_of(table.schema)
    found = (table.schema.metadata or {}).get(_FORMAT_KEY)
    if found is None:
        return table  # Format 3 stores the pixels.
    if found != _FORMAT:
        raise HilserlError(f"This episode has format {found.decode(errors='replace')}; this program reads 3 and 4.")
    if table.schema != episode_schema(spec):
        raise HilserlError(f"Its columns {table.schema.names} differ from those of its spec.")
    schema = arrow_schema(spec)
    for camera, shape in spec.images:
        at = schema.get_field_index(f"observation.{camera}")
        pixels = _images(table.column(at), camera, shape).reshape(-1)
        storage = pa.FixedSizeListArray.from_arrays(pa.array(pixels), int(np.prod(shape)))
        column = pa.ExtensionArray.from_storage(schema.field(at).type, storage)
        table = table.set_column(at, schema.field(at), column)
    return table.replace_schema_metadata(schema.metadata)
