"""Options of every environment."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypedDict, get_args

import tyro

from hilserl.errors import unknown

ObsName = Literal["state", "pixels"]
RewardName = Literal["sparse", "dense"]
FrameName = Literal["world", "tool"]
CropFractions = tuple[float, float, float, float]
"""Top, left, height and width, as fractions of the whole view."""


@dataclass(frozen=True, kw_only=True)
class EnvOptions:
    """Observation, reward and limits of an environment."""

    obs: Annotated[ObsName, tyro.conf.arg(prefix_name=False)] = "state"
    """Observation beside proprioception: true object state, or camera images."""
    arm: Annotated[str, tyro.conf.arg(name="robot", metavar="ROBOT", prefix_name=False)] = "panda"
    """Simulated robot: a name that `hilserl robots` lists, or a file.

    A file is MJCF or URDF, with a TOML file beside it.
    """
    scene: Annotated[str, tyro.conf.arg(metavar="FILE.xml", prefix_name=False)] = ""
    """Scene instead of the one that a task's TOML file names."""
    cameras: Annotated[tuple[str, ...], tyro.conf.arg(prefix_name=False)] = ()
    """Cameras of the policy; by default the task's.

    Of another package's environment they are by default all.
    """
    image_size: int = 128
    """Height and width of a camera image, in pixels."""
    crop: dict[str, CropFractions] = field(default_factory=dict)
    """Narrower views by camera: top, left, height, width as fractions."""
    frame: FrameName | None = None
    """Reference frame of poses and actions; by default the task's.

    In the tool frame they are along the tool's axes and relative to the episode's start.
    """
    randomise: Annotated[bool, tyro.conf.arg(prefix_name=False)] = False
    """Randomise looks, light, cameras and the objects' physics at every reset."""
    max_episode_steps: int | None = None
    """Limit of an episode in control steps; by default the task's."""
    success_key: str | None = None
    """Key of another package's `info` that tells a success.

    By default is_success or success.
    """
    ends_on_success: Annotated[bool, tyro.conf.Suppress] = True
    """False if only the limit ends an episode.

    Then a classifier or an operator decides what a success is.
    """
    reward: Annotated[RewardName | None, tyro.conf.Suppress] = None
    """Sparse reward (1 at a success, else 0) or dense reward (shaped).

    By default a task is sparse, and another package's environment has its own reward, which counts as dense.
    """

    def __post_init__(self) -> None:
        """Raise HilserlError for an observation or a reward that does not exist."""
        for name in ("arm", "scene"):
            if Path(value := getattr(self, name)).suffix:
                # A run that is resumed elsewhere finds its files.
                object.__setattr__(self, name, str(Path(value).resolve()))
        if self.obs not in get_args(ObsName):
            raise unknown("obs", self.obs, get_args(ObsName))
        if self.reward is not None and self.reward not in get_args(RewardName):
            raise unknown("reward", self.reward, get_args(RewardName))


class EnvOptionValues(TypedDict, total=False):
    """`EnvOptions` as keyword arguments, for `gymnasium.make`."""

    obs: ObsName
    arm: str
    scene: str
    cameras: tuple[str, ...]
    image_size: int
    crop: dict[str, CropFractions]
    frame: FrameName | None
    randomise: bool
    max_episode_steps: int | None
    success_key: str | None
    ends_on_success: bool
    reward: RewardName | None
