"""Episodes on disk, one Parquet file for each.

Images are PNG files in a struct of bytes and path, as the library `datasets` of Hugging Face stores them, so that its
tools show them as images.
"""

import json
import zlib
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hilserl.data.arrow import METADATA_KEY, arrow_schema, check_table, from_table
from hilserl.data.spec import ActionLayout, ExperienceSpec, StateLayout
from hilserl.data.step import Step
from hilserl.data.stored_episode import IMAGE, StoredEpisode
from hilserl.errors import HilserlError
from hilserl.files import atomically

_FORMAT_KEY, _CHECKSUM_KEY = b"hilserl.episode_format", b"hilserl.spec_crc32"
_CONTENT_KEY = b"hilserl.column_crc32"
"""Key of the columns' checksums. They are of the values, whatever Parquet makes of them; older files have none."""
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


def write_episode(path: Path, steps: Sequence[Step], spec: ExperienceSpec, *, replace: bool = False) -> None:
    """Write one episode to a file that is complete or absent.

    Args:
        path: the file.
        steps: the episode's steps, its reset first.
        spec: layout of the experience.
        replace: True to replace a file that exists; False to refuse it.

    Raises:
        HilserlError: the file exists, the disk refuses, or a step does not fit the spec.
    """
    write_stored_episode(path, StoredEpisode.of_steps(steps, spec), replace=replace)


def write_stored_episode(path: Path, episode: StoredEpisode, *, replace: bool = False) -> None:
    """Write one episode whose images stay as they are stored.

    Args:
        path: the file.
        episode: the episode; PNG files go in as they are.
        replace: True to replace a file that exists; False to refuse it.
    """
    atomically(path, partial(write_episode_file, episode=episode), replace=replace)


def write_episode_file(path: Path, episode: StoredEpisode) -> None:
    """Write one episode into a directory that is not complete yet.

    A crash may leave half of it; `write_stored_episode` is for directories in use.
    """
    table, schema = episode.numbers, episode_schema(episode.spec)
    images = image_columns(episode.spec)
    for camera, name in images.items():
        table = table.append_column(schema.field(name), episode.encoded(camera))
    table = table.select(schema.names).cast(schema)
    checksums = {name: column_checksum(table[name]) for name in schema.names}
    table = table.replace_schema_metadata({**(schema.metadata or {}), _CONTENT_KEY: json.dumps(checksums).encode()})
    numbers: Any = [name for name in schema.names if name not in images.values()]

    # Statistics of an image column would be two whole images, and a dictionary a second copy of all. PNG does not get
    # smaller, and on columns of a few kilobytes zstd takes two to three times as long as snappy for the same size.
    pq.write_table(
        table, path, compression="snappy", use_dictionary=numbers, write_statistics=numbers, write_page_checksum=True
    )


def column_checksum(column: pa.ChunkedArray) -> int:
    """Compute the CRC-32 of a column's values: numbers, vectors or images."""
    array = column.combine_chunks()
    if pa.types.is_struct(array.type):
        files = [data or b"" for data in array.field("bytes").to_pylist()]
        return reduce(lambda checksum, data: zlib.crc32(data, checksum), files, len(files))
    values = array.flatten() if pa.types.is_fixed_size_list(array.type) else array
    return zlib.crc32(np.ascontiguousarray(values.to_numpy(zero_copy_only=False)).data)


def _check_content(table: pa.Table) -> None:
    """Raise HilserlError if a column's values are not those that were written."""
    metadata = table.schema.metadata or {}
    if _CONTENT_KEY not in metadata:
        return
    written = dict(json.loads(metadata[_CONTENT_KEY]))
    if changed := [name for name in table.column_names if column_checksum(table[name]) != written.get(name)]:
        names = ", ".join(changed)
        raise HilserlError(f"It is damaged, or another program changed it: the checksum of {names} is wrong.")


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
    episode = read_stored_episode(path, images=images)
    try:
        return episode.decoded(), episode.spec
    except HilserlError as error:
        raise HilserlError(f"Cannot read the episode file {path}: {error}") from error


def read_stored_episode(path: Path, *, images: bool = True) -> StoredEpisode:
    """Read one episode whose images stay as they are stored.

    These are PNG files, or pixels in a file of format 3.

    Args:
        path: the file.
        images: with images; without them the spec has no cameras.

    Raises:
        HilserlError: the file is damaged, or is not a recorded episode.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = [name for name in file.schema_arrow.names if images or name in arrow_schema(_NO_CAMERAS).names]
            # Threads would take longer to start than an episode takes to read.
            table = file.read(names, use_threads=False)
            episode = _stored(table, images=images)
            _check_content(table)
    except (HilserlError, *_CORRUPT) as error:
        raise HilserlError(f"Cannot read the episode file {path}: {error}") from error
    number, index = (episode.numbers[name].to_numpy() for name in ("episode", "index"))
    if not len(index) or (index != np.arange(len(index))).any() or (number != number[0]).any():
        raise HilserlError(f"The episode file {path} does not hold one whole episode in order.")
    if len(index) < 2:
        raise HilserlError(f"The episode file {path} holds a reset alone; expected at least one step after it.")
    return episode


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


def _stored(table: pa.Table, *, images: bool) -> StoredEpisode:
    """Take the table of an episode file apart.

    Raises:
        HilserlError: the columns are not those of its spec.
    """
    spec = _spec_of(table.schema)
    found = (table.schema.metadata or {}).get(_FORMAT_KEY)
    if found not in (None, _FORMAT):
        raise HilserlError(f"This episode has format {found.decode(errors='replace')}; this program reads 3 and 4.")
    if found is None and images:
        return StoredEpisode.of_steps(*from_table(table))  # Format 3 stores the pixels.
    if images and table.schema != episode_schema(spec):
        raise HilserlError(f"This table's columns {table.schema.names} differ from those of its spec.")
    spec = spec if images else spec.only(())
    schema = arrow_schema(spec.only(()))
    numbers = table.select(schema.names).replace_schema_metadata(schema.metadata)
    check_table(numbers)
    png = {camera: table[name].combine_chunks() for camera, name in image_columns(spec).items()}
    return StoredEpisode(numbers, spec, png)
