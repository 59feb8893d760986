"""A run's folder: what lies where, and the rule that nothing in it is ever overwritten by another run."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from hilserl.data.episodes import episode_files, read_episode, write_episode
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.errors import HilserlError

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps other processes from using a folder. Raises HilserlError where one does; a killed one no longer does."""
    lock = FileLock(folder / LOCK, blocking=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise HilserlError(f"Another process is using {folder}; stop it first, or name another folder.") from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True)
class RunDir:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def episodes(self) -> Path:
        return self.path / "episodes"

    @property
    def demonstrations(self) -> Path:
        return self.path / "demonstrations"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def curve(self) -> Path:
        return self.path / "curve.png"

    @property
    def mistakes(self) -> Path:
        """Episodes in which the reward saw a success that was none, labelled as they were."""
        return self.path / "mistakes"

    @property
    def video(self) -> Path:
        return self.path / "policy.mp4"

    def check_new(self) -> None:
        """Raises HilserlError where a run is already."""
        if self.path.exists() and not self.path.is_dir():
            raise HilserlError(f"{self.path} is a file; a run is kept in a directory.")
        if self.path.exists() and any(self.path.iterdir()):
            raise HilserlError(
                f"The run directory {self.path} exists already. Continue that run with --resume, "
                "or name another directory with --run-dir."
            )

    def create(self) -> None:
        """Makes the folder. Raises HilserlError where a run is already."""
        self.check_new()
        self.path.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps every other process from using the run; ends with the process at the latest."""
        with locked(self.path):
            yield

    def remove_untouched(self) -> None:
        """Removes a run that has nothing but its settings, so that it may be started again with better ones."""
        if {path.name for path in self.path.iterdir()} <= {self.config.name, LOCK}:
            shutil.rmtree(self.path)

    def require(self) -> None:
        """Raises HilserlError unless a run is here."""
        if not self.config.is_file():
            raise HilserlError(f"There is no run in {self.path}: it has no config.json.")

    def read_result(self) -> dict[str, Any]:
        """What the finished run came to. Raises HilserlError where it has not finished."""
        try:
            return json.loads(self.result.read_text())
        except (OSError, ValueError) as error:
            raise HilserlError(f"The run in {self.path} has no result that can be read: {error}") from error


class EpisodeWriter:
    """Keeps every finished episode as a file of its own: a rollout's subscriber."""

    def __init__(self, folder: Path, spec: ExperienceSpec) -> None:
        self._folder, self._spec = folder, spec

    def on_step(self, step: Step) -> None:
        """Nothing is written in mid-episode."""

    def on_discard(self, episode: int) -> None:
        """What was never written need not be forgotten."""

    def on_episode(self, steps: Sequence[Step], summary: object) -> None:
        del summary
        write_episode(self._folder / f"{steps[0].episode:06d}.parquet", steps, self._spec)


def read_episodes(
    folder: Path, spec: ExperienceSpec | None = None, *, more_cameras: bool = False
) -> Iterator[list[Step]]:
    """All episodes of a folder, in order, one at a time: their images may take more memory than there is.

    Without `spec` they may be of any task. With `more_cameras` they may have been recorded with cameras that the spec
    does not have, which are left out. Raises HilserlError for one that is damaged or of another spec.
    """
    for path in episode_files(folder):
        steps, found = read_episode(path)
        if spec is None:
            yield steps
            continue
        cameras = [name for name, _ in spec.images]
        if (found.only(cameras) if more_cameras else found) != spec:
            raise HilserlError(
                f"{path} was recorded as task {found.task!r} with state {list(found.state.names)} and cameras "
                f"{[name for name, _ in found.images]}; this run is task {spec.task!r} with state "
                f"{list(spec.state.names)} and cameras {cameras}."
            )
        yield steps if found == spec else [_seen_by(cameras, step) for step in steps]


def _seen_by(cameras: Sequence[str], step: Step) -> Step:
    return replace(step, observation={name: step.observation[name] for name in ("state", *cameras)})
