"""Recordings of any known kind, seen alike."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from typing_extensions import override

from hilserl.data.episodes import episode_files, read_episode, read_episode_spec
from hilserl.data.spec import ExperienceSpec
from hilserl.data.step import Step
from hilserl.data.stored_episode import StoredEpisode
from hilserl.datasets.frames import Frames, ImageStream
from hilserl.datasets.hil_serl import pickle_files, pickled_episodes
from hilserl.datasets.lerobot.format import INFO
from hilserl.datasets.lerobot.reader import LeRobotDataset
from hilserl.datasets.lerobot.restoration import is_ours, read_spec, restored_episodes
from hilserl.datasets.mapping import FILE_NAME
from hilserl.datasets.preparing import read_recorded
from hilserl.errors import HilserlError

_KINDS = (
    "a directory of episodes (*.parquet), a run directory, a LeRobotDataset (meta/info.json), or HIL-SERL's pickles "
    "(*.pkl)"
)


@dataclass(frozen=True)
class EpisodeView:
    """An episode as a look at a recording needs it."""

    name: str
    """File or number of the episode."""
    task: str
    action: np.ndarray
    """float [steps, n]."""
    action_names: tuple[str, ...]
    grippers: tuple[int, ...] = ()
    """Indices of the grippers' numbers, where they are known."""
    state: np.ndarray | None = None
    """float [steps or steps + 1, n]."""
    reward: np.ndarray | None = None
    success: bool | None = None
    """None if the recording does not tell."""
    intervened: np.ndarray | None = None
    """bool [steps]: the operator acted; None if the recording does not tell."""
    timestamps_s: np.ndarray | None = None
    images: Mapping[str, ImageStream] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Number of actions."""
        return len(self.action)


class Source(ABC):
    """A recording on disk."""

    kind: ClassVar[str]
    """Description of the kind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def control_dt_s(self) -> float | None:
        """Duration of a step; None if the recording does not tell."""

    @abstractmethod
    def episodes(self, *, images: bool) -> Iterator[EpisodeView | HilserlError]:
        """Yield the episodes, or the errors of unreadable ones."""

    @property
    def length(self) -> int | None:
        """Number of episodes, where it is known beforehand."""
        return None


class Recording(Source):
    """Episodes that hilserl recorded.

    Args:
        path: directory of episodes, run directory, or one file.
    """

    kind = "episodes of hilserl"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        inside = [path / name for name in ("demonstrations", "episodes") if (path / name).is_dir()]
        if path.is_file():
            self.files = [path]
        else:
            self.files = [file for directory in inside or [path] for file in episode_files(directory)]
        if not self.files:
            raise HilserlError(f"There is no recorded episode in {path}.")

    @property
    @override
    def length(self) -> int:
        return len(self.files)

    @property
    def spec(self) -> ExperienceSpec:
        """Layout of the first episode."""
        return read_episode_spec(self.files[0])

    @property
    @override
    def control_dt_s(self) -> float:
        return self.spec.control_dt_s

    @override
    def episodes(self, *, images: bool) -> Iterator[EpisodeView | HilserlError]:
        for file in self.files:
            try:
                steps, spec = read_episode(file, images=images)
            except HilserlError as error:
                yield error
                continue
            name = str(file.relative_to(self.path)) if file != self.path else file.name
            yield view_of_steps(name, steps, spec)

    def stored(self) -> Iterator[StoredEpisode]:
        """Yield the episodes, images as they are stored.

        Raises:
            HilserlError: an episode is damaged, or of another layout than the first.
        """
        return read_recorded(self.files, self.spec, self.files[0])


class RunRecording(Recording):
    """A run, whose demonstrations come before its episodes."""

    kind = "run of hilserl"


class Exported(Source):
    """A LeRobotDataset that hilserl wrote."""

    kind = "LeRobotDataset written by hilserl"

    @property
    @override
    def length(self) -> int:
        return int(LeRobotDataset(self.path).info["total_episodes"])

    @property
    def spec(self) -> ExperienceSpec:
        """Layout of the episodes."""
        return read_spec(self.path)

    @property
    @override
    def control_dt_s(self) -> float:
        return self.spec.control_dt_s

    @override
    def episodes(self, *, images: bool) -> Iterator[EpisodeView | HilserlError]:
        spec = self.spec if images else self.spec.only(())
        for index, episode in enumerate(restored_episodes(self.path, tuple(dict(spec.images)))):
            yield view_of_steps(f"episode {index}", episode.decoded(), spec)

    def stored(self) -> Iterator[StoredEpisode]:
        """Yield the episodes, images as they are stored."""
        return restored_episodes(self.path)


class Foreign(Source):
    """Another program's dataset, which a mapping makes episodes of hilserl."""

    @abstractmethod
    def frames(self, *, images: bool = True) -> Iterator[Frames]:
        """Yield the episodes as they are stored."""

    @property
    def mapping_file(self) -> Path:
        """Place of the mapping that is used without being named."""
        return self.path / FILE_NAME if self.path.is_dir() else self.path.with_suffix(".toml")


class LeRobot(Foreign):
    """A LeRobotDataset v2.1 or v3.0."""

    kind = "LeRobotDataset"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.dataset = LeRobotDataset(path)

    @property
    @override
    def length(self) -> int | None:
        return self.dataset.info.get("total_episodes")

    @property
    @override
    def control_dt_s(self) -> float:
        return 1 / self.dataset.fps

    @override
    def frames(self, *, images: bool = True) -> Iterator[Frames]:
        return self.dataset.episodes(images=images)

    @override
    def episodes(self, *, images: bool) -> Iterator[EpisodeView | HilserlError]:
        names = self.dataset.features.get("action", {}).get("names")
        for frames in self.frames(images=images):
            columns = frames.columns
            success = columns.get("next.success", columns.get("next.reward"))
            action = columns.get("action", np.zeros((frames.num_rows, 0)))
            yield EpisodeView(
                f"episode {frames.episode}",
                frames.task,
                action,
                tuple(names) if isinstance(names, list | dict) else (),
                _named_grippers(names),
                columns.get("observation.state"),
                columns.get("next.reward"),
                None if success is None else bool((success > 0).any()),
                columns.get("complementary_info.is_intervention"),
                columns.get("timestamp"),
                frames.images,
            )


class HilSerl(Foreign):
    """HIL-SERL's pickled transitions."""

    kind = "HIL-SERL pickles"

    @property
    @override
    def control_dt_s(self) -> None:
        return None

    @override
    def frames(self, *, images: bool = True) -> Iterator[Frames]:
        del images  # A pickle is read whole or not at all.
        return pickled_episodes(self.path)

    @override
    def episodes(self, *, images: bool) -> Iterator[EpisodeView | HilserlError]:
        for frames in self.frames():
            columns = frames.columns
            state = columns.get("state")
            yield EpisodeView(
                f"episode {frames.episode}",
                "",
                columns["actions"],
                (),
                (columns["actions"].shape[1] - 1,) if columns["actions"].shape[1] == 7 else (),
                state,
                columns["rewards"],
                bool((columns["rewards"] > 0.5).any()),
                columns.get("infos.intervened"),
                None,
                frames.images if images else {},
            )


def open_source(path: Path) -> Source:
    """Recognise a recording.

    Raises:
        HilserlError: nothing is there, or nothing that this program knows.
    """
    if not path.exists():
        raise HilserlError(f"There is nothing at {path}; expected {_KINDS}.")
    if (path / INFO).is_file():
        return Exported(path) if is_ours(path) else LeRobot(path)
    if path.suffix == ".pkl" or (path.is_dir() and any(pickle_files(path))):
        return HilSerl(path)
    if (path / "config.json").is_file() and ((path / "episodes").is_dir() or (path / "demonstrations").is_dir()):
        return RunRecording(path)
    if path.suffix == ".parquet" or (path.is_dir() and any(path.glob("*.parquet"))):
        return Recording(path)
    if path.suffix in (".hdf5", ".h5") or (path.is_dir() and any(path.glob("*.h*5"))):
        raise HilserlError(f"{path} is HDF5, as robomimic and ManiSkill write it; this program does not read it.")
    raise HilserlError(f"{path} is not a recording that this program knows; expected {_KINDS}.")


def view_of_steps(name: str, steps: Sequence[Step], spec: ExperienceSpec) -> EpisodeView:
    """View an episode of hilserl; its reset comes first."""

    def stream(camera: str) -> ImageStream:
        return lambda: iter([step.observation[camera] for step in steps])

    acted = steps[1:]
    return EpisodeView(
        name,
        spec.task,
        np.array([step.action for step in acted], np.float32).reshape(len(acted), spec.action.size),
        spec.action.names,
        spec.action.grippers,
        np.stack([step.observation["state"] for step in steps]),
        np.array([step.reward for step in acted]),
        steps[-1].success,
        np.array([step.intervened for step in acted], bool),
        None,
        {camera: stream(camera) for camera, _ in spec.images},
    )


def _named_grippers(names: object) -> tuple[int, ...]:
    found = list(names) if isinstance(names, list | dict) else []
    return tuple(index for index, name in enumerate(found) if "gripper" in str(name))
