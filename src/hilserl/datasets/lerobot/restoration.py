"""Episodes of hilserl from a LeRobotDataset that hilserl wrote, bit for bit."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hilserl.data.arrow import arrow_schema, check_table, vectors
from hilserl.data.png import decode_image
from hilserl.data.spec import ExperienceSpec
from hilserl.data.stored_episode import IMAGE, StoredEpisode
from hilserl.datasets.frames import Frames
from hilserl.datasets.lerobot.format import ENDS, PER_STEP, SIGNED_ACTION, SPEC, image_features
from hilserl.datasets.lerobot.reader import LeRobotDataset, batches
from hilserl.errors import HilserlError


def is_ours(root: Path) -> bool:
    """Return True if hilserl wrote a dataset."""
    return (root / SPEC).is_file()


def read_spec(root: Path) -> ExperienceSpec:
    """Read the spec of a dataset that hilserl wrote.

    Raises:
        HilserlError: the file is damaged.
    """
    try:
        return ExperienceSpec.from_json(json.dumps(json.loads((root / SPEC).read_text())["spec"]))
    except (OSError, ValueError, KeyError, TypeError, HilserlError) as error:
        raise HilserlError(f"Cannot read {root / SPEC}: {error}") from error


def restored_episodes(root: Path, cameras: tuple[str, ...] | None = None) -> Iterator[StoredEpisode]:
    """Yield the episodes as they were recorded.

    PNG files stay as they are.

    Args:
        root: the dataset.
        cameras: cameras to read; None reads all.

    Raises:
        HilserlError: a file is missing or damaged.
    """
    whole = read_spec(root)
    spec = whole if cameras is None else whole.only(cameras)
    features = {camera: name for camera, name in image_features(whole).items() if camera in dict(spec.images)}
    dataset = LeRobotDataset(root)
    try:
        for frames, ends in zip(dataset.episodes(images=bool(spec.images)), _ends(root, spec), strict=True):
            yield _episode(frames, ends, features, spec)
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
        raise HilserlError(f"Cannot read the dataset {root}: {error!r}.") from error


def _ends(root: Path, spec: ExperienceSpec) -> Iterator[dict[str, Any]]:
    """Yield what is stored of each episode's reset and last observation."""
    with pq.ParquetFile(root / ENDS, page_checksum_verification=True) as file:
        unread = {f"last.observation.{camera}" for camera in _cameras(file.schema_arrow) - set(dict(spec.images))}
        names = [name for name in file.schema_arrow.names if name not in unread]
        for batch in batches(file, names):
            yield from batch.to_pylist()


def _cameras(schema: pa.Schema) -> set[str]:
    prefix = "last.observation."
    return {name.removeprefix(prefix) for name in schema.names if name.startswith(prefix)} - {"state"}


def _episode(frames: Frames, ends: dict[str, Any], features: dict[str, str], spec: ExperienceSpec) -> StoredEpisode:
    png, pixels = {}, {}
    for camera, name in features.items():
        last = ends[f"last.observation.{camera}"]
        if name in frames.encoded:
            png[camera] = pa.concat_arrays([frames.encoded[name], pa.array([last], IMAGE)])
        else:
            pixels[camera] = np.stack([*frames.images[name](), decode_image(last["bytes"])])
    return StoredEpisode(_numbers(frames, ends, spec.only(())), spec, png, pixels)


def _numbers(frames: Frames, ends: dict[str, Any], spec: ExperienceSpec) -> pa.Table:
    """Join a reset's numbers with those of the steps after it.

    Raises:
        HilserlError: a number is one that no step may have.
    """
    columns, schema = frames.columns, arrow_schema(spec)
    action = columns[SIGNED_ACTION if SIGNED_ACTION in columns else "action"]
    stored = {attribute: columns[name] for name, (_, attribute) in PER_STEP.items()}
    stored["episode"] = np.full(frames.num_rows, ends["reset.episode"])
    stored["index"] = np.arange(1, frames.num_rows + 1)
    found = {name: pa.array(np.concatenate([[ends[f"reset.{name}"]], rows])) for name, rows in stored.items()}
    found["action"] = vectors(np.vstack([ends["reset.action"], action]), spec.action.size, "action")
    state = np.vstack([columns["observation.state"], ends["last.observation.state"]])
    found["observation.state"] = vectors(state, spec.state.size, "state")
    table = pa.Table.from_arrays([found[field.name].cast(field.type) for field in schema], schema=schema)
    check_table(table)
    return table
