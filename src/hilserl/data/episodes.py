"""Episodes on disk, one Parquet file for each."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hilserl.data.arrow import from_table, to_table
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError
from hilserl.files import atomically

_CORRUPT = (pa.ArrowException, OSError, KeyError, TypeError, ValueError)


def write_episode(path: Path, steps: Sequence[Step], spec: ExperienceSpec) -> None:
    """Write one episode to a file that is complete or absent."""
    table = to_table(steps, spec)
    atomically(path, lambda part: pq.write_table(table, part, compression="zstd"))


def episode_files(directory: Path) -> list[Path]:
    """List the episode files of a directory, in order.

    Raises:
        HilserlError: the directory does not exist.
    """
    if not directory.is_dir():
        raise HilserlError(f"There is no directory {directory} with recorded episodes.")
    return sorted(directory.glob("*.parquet"))


def read_episode(path: Path) -> tuple[list[Step], ExperienceSpec]:
    """Read one episode's steps and their spec.

    Raises:
        HilserlError: the file is damaged, or is not a recorded episode.
    """
    try:
        steps, spec = from_table(pq.read_table(path))
    except (HilserlError, *_CORRUPT) as error:
        raise HilserlError(f"Cannot read the episode file {path}: {error}") from error
    expected = list(range(len(steps)))
    if not steps or [s.index for s in steps] != expected or len({s.episode for s in steps}) != 1:
        raise HilserlError(f"The episode file {path} does not hold one whole episode in order.")
    return steps, spec
