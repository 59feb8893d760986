"""The directory of a run, which no other run ever overwrites."""

import contextlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from hilserl.data.episode_summary import EpisodeSummary
from hilserl.data.episodes import episode_files, read_episode, write_episode
from hilserl.data.spec import ExperienceSpec, differences
from hilserl.data.step import Step
from hilserl.data.subscriber import Subscriber
from hilserl.errors import HilserlError
from hilserl.files import LOCK, locked


@dataclass(frozen=True)
class RunDir:
    """The files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """Settings, `config.json`."""
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        """Records, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """Directory with one checkpoint a subdirectory."""
        return self.path / "checkpoints"

    @property
    def episodes(self) -> Path:
        """Directory of the episodes of the run."""
        return self.path / "episodes"

    @property
    def demonstrations(self) -> Path:
        """Directory of demonstrations that the run recorded for itself."""
        return self.path / "demonstrations"

    @property
    def result(self) -> Path:
        """Figures of the finished run, `result.json`."""
        return self.path / "result.json"

    @property
    def curve(self) -> Path:
        """Learning curve, a PNG image."""
        return self.path / "curve.png"

    @property
    def mistakes(self) -> Path:
        """Directory of episodes with a false success, labelled with the truth."""
        return self.path / "mistakes"

    @property
    def quarantine(self) -> Path:
        """Directory of episodes that were set aside."""
        return self.path / "quarantine"

    @property
    def video(self) -> Path:
        """Video of the final policy."""
        return self.path / "policy.mp4"

    def check_new(self) -> None:
        """Check that no run is here.

        Raises:
            HilserlError: the directory has something in it, or is a file.
        """
        if self.path.exists() and not self.path.is_dir():
            raise HilserlError(f"{self.path} is a file; a run is kept in a directory.")
        if self.path.exists() and any(path.name != LOCK for path in self.path.iterdir()):
            raise HilserlError(
                f"The run directory {self.path} exists already. Continue that run with --resume, "
                "or name another directory with --run-dir."
            )

    def create(self) -> None:
        """Make the directory.

        Raises:
            HilserlError: the directory has something in it, is a file, or cannot be made.
        """
        self.check_new()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HilserlError(f"Cannot make the run directory {self.path}: {error}") from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from using the run while this one does."""
        with locked(self.path):
            yield

    def remove_untouched(self) -> None:
        """Remove a run that has nothing but its settings."""
        if {path.name for path in self.path.iterdir()} <= {self.config.name, LOCK}:
            shutil.rmtree(self.path)

    def require(self) -> None:
        """Check that a run is here.

        Raises:
            HilserlError: there is no run.
        """
        if not self.config.is_file():
            raise HilserlError(f"There is no run in {self.path}: it has no config.json.")

    @property
    def has_ended(self) -> bool:
        """False for a run in progress or a stopped one."""
        return self.result.exists()

    def read_result(self) -> dict[str, Any]:
        """Read the figures of the finished run.

        Raises:
            HilserlError: the run has not finished, or the file is damaged.
        """
        try:
            return json.loads(self.result.read_text())
        except (OSError, ValueError) as error:
            raise HilserlError(f"The run in {self.path} has no result that can be read: {error}") from error


class EpisodeWriter(Subscriber):
    """Writer of every closed episode as one file.

    Args:
        directory: the episodes' directory.
        spec: layout of the experience.
    """

    def __init__(self, directory: Path, spec: ExperienceSpec) -> None:
        self._directory, self._spec = directory, spec

    @override
    def on_episode(self, steps: Sequence[Step], summary: EpisodeSummary) -> None:
        write_episode(self._directory / f"{steps[0].episode:06d}.parquet", steps, self._spec)


def read_episodes(
    directory: Path, spec: ExperienceSpec | None = None, *, more_cameras: bool = False
) -> Iterator[list[Step]]:
    """Read all episodes of a directory in order, one at a time.

    All images together may need more memory than there is.

    Args:
        directory: the episodes' directory.
        spec: layout that every episode must have; None accepts any.
        more_cameras: accept episodes with more cameras than the spec has, and leave those out.

    Raises:
        HilserlError: an episode is damaged or of another spec.
    """
    for path in episode_files(directory):
        steps, found = read_episode(path)
        if spec is None:
            yield steps
            continue
        cameras = [name for name, _ in spec.images]
        if (seen := found.only(cameras) if more_cameras else found) != spec:
            raise HilserlError(f"{path} does not fit this run: {differences(seen, spec)}.")
        yield steps if found == spec else [_with_cameras(cameras, step) for step in steps]


def _with_cameras(cameras: Sequence[str], step: Step) -> Step:
    return replace(step, observation={name: step.observation[name] for name in ("state", *cameras)})
