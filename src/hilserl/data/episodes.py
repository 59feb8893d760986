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
    table = to_table(steps, spec)
    atomically(path, lambda part: pq.write_table(table, part, compression="zstd"), replace=replace)


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
    if len(steps) < 2:
        raise HilserlError(f"The episode file {path} holds a reset alone; expected at least one step after it.")
    return steps, spec
