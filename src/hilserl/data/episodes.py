"""Episodes on disk, one Parquet file each."""

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
    """Writes one episode so that the file is either whole or absent, whatever happens meanwhile."""
    table = to_table(steps, spec)
    atomically(path, lambda part: pq.write_table(table, part, compression="zstd"))


def episode_files(folder: Path) -> list[Path]:
    """The files of a folder's episodes, in order. Raises HilserlError where there is no folder."""
    if not folder.is_dir():
        raise HilserlError(f"There is no directory {folder} with recorded episodes.")
    return sorted(folder.glob("*.parquet"))


def read_episode(path: Path) -> tuple[list[Step], ExperienceSpec]:
    """One episode's steps. Raises HilserlError naming the file when it is damaged or not ours."""
    try:
        steps, spec = from_table(pq.read_table(path))
    except (HilserlError, *_CORRUPT) as error:
        raise HilserlError(f"Cannot read the episode file {path}: {error}") from error
    expected = list(range(len(steps)))
    if not steps or [s.index for s in steps] != expected or len({s.episode for s in steps}) != 1:
        raise HilserlError(f"The episode file {path} does not hold one whole episode in order.")
    return steps, spec
