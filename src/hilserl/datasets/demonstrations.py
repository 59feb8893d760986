"""Demonstrations for a run, of any kind whose meaning is known."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hilserl.data.spec import ExperienceSpec, differences
from hilserl.data.step import Step
from hilserl.datasets.convert import mapped
from hilserl.datasets.lerobot.restoration import restored_episodes
from hilserl.datasets.mapping import read_mapping
from hilserl.datasets.source import Exported, Foreign, Recording, open_source
from hilserl.errors import HilserlError


def is_recording(path: Path) -> bool:
    """Return True if a path holds nothing but hilserl's own episodes."""
    return path.is_dir() and isinstance(open_source(path) if any(path.iterdir()) else None, Recording | None)


def foreign_demonstrations(path: Path, spec: ExperienceSpec) -> Iterator[list[Step]]:
    """Yield the episodes of a dataset of LeRobot or HIL-SERL.

    Args:
        path: the dataset.
        spec: layout of the run; more cameras in the dataset are left out.

    Raises:
        HilserlError: the dataset is of another layout, or has no mapping yet; the message says how to make one.
    """
    source, cameras = open_source(path), [name for name, _ in spec.images]
    if isinstance(source, Exported):
        _require(path, source.spec.only(cameras), spec)
        yield from (episode.decoded() for episode in restored_episodes(path, tuple(cameras)))
        return
    if not isinstance(source, Foreign):
        raise HilserlError(f"{path} is one file of {source.kind}; name its directory.")
    if not source.mapping_file.is_file():
        raise HilserlError(
            f"{path} is a dataset of another program ({source.kind}); a mapping has to say which of its columns is "
            f"which of ours. Propose one: hilserl dataset convert {path} --map suggest --task {spec.task} "
            f"--obs {'pixels' if cameras else 'state'} --out {source.mapping_file}"
        )
    mapping = read_mapping(source.mapping_file)
    _require(source.mapping_file, mapping.spec.only(cameras), spec)
    wanted = tuple(camera for camera in mapping.camera if camera.name in cameras)
    yield from (episode.decoded() for episode in mapped(source, replace(mapping, camera=wanted)))


def _require(path: Path, found: ExperienceSpec, spec: ExperienceSpec) -> None:
    """Raise HilserlError that names what differs, unless the specs are equal."""
    if found != spec:
        raise HilserlError(f"{path} does not fit this run: {differences(found, spec)}.")
